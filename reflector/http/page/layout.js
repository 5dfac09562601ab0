// Where everybody stands in the picture: around the reflector, those alike side by side.

const MOST = 9;
const FEW = 40;
const order = new Intl.Collator("en", { numeric: true });

export function kindOf(row) {
  return row.kind ? row.kind.replaceAll("-", " ") : "no session yet";
}

// Neighbors of one kind and AS are one cluster; where there are very many, the small ones are one, too.
export function clusters(rows) {
  const found = new Map();
  for (const row of rows) {
    const label = `${kindOf(row)}, AS ${row.asn}`;
    if (!found.has(label)) found.set(label, { label, rows: [] });
    found.get(label).rows.push(row);
  }
  let all = [...found.values()].sort((a, b) => b.rows.length - a.rows.length || order.compare(a.label, b.label));
  if (all.length > MOST + 1) {
    const rest = all.slice(MOST);
    all = [...all.slice(0, MOST), { label: `${rest.length} others`, rows: rest.flatMap((each) => each.rows) }];
  }
  for (const each of all) {
    each.rows.sort((a, b) => order.compare(a.name, b.name));
    each.up = each.rows.filter((row) => row.state === "Established").length;
    each.received = each.rows.reduce((sum, row) => sum + (row.received || 0), 0);
    each.told = each.rows.reduce((sum, row) => sum + (row.told || 0), 0);
  }
  return all;
}

export function few(rows) {
  return rows.length <= FEW;
}

// Sets x and y of each row; returns the places of clusters, and the size of a dot.
export function place(all, width, height) {
  const count = all.reduce((sum, each) => sum + each.rows.length, 0);
  const [x, y] = [width / 2, height / 2];
  const tight = width < 560;
  if (count <= FEW) {
    const rx = tight ? width / 2 - 66 : Math.min(width / 2 - 150, 300);
    const ry = height / 2 - 50;
    let at = 0;
    for (const cluster of all) {
      cluster.spots = cluster.rows.map((row) => {
        const angle = -Math.PI / 2 + ((at + 0.5) / count) * 2 * Math.PI;
        at += 1;
        return { row, angle, x: x + rx * Math.cos(angle), y: y + ry * Math.sin(angle) };
      });
    }
    return { x, y, dot: count > 24 ? 6 : 8, hub: 34 };
  }
  const outer = Math.min(width / 2 - (tight ? 8 : 150), height / 2 - (tight ? 8 : 24));
  const inner = Math.max(outer * 0.38, 48);
  const gap = all.length > 1 ? 0.07 : 0.0;
  const weights = all.map((each) => Math.max(each.rows.length, count * 0.03));
  const total = weights.reduce((a, b) => a + b, 0);
  const free = 2 * Math.PI - gap * all.length;
  let step = Math.min(Math.sqrt((Math.PI * (outer * outer - inner * inner)) / count), 18);
  // Rows are whole, so what was computed by area may be a little too wide.
  while (!fits(all, weights, total, free, inner, outer, step)) step *= 0.97;
  let start = -Math.PI / 2;
  all.forEach((cluster, index) => {
    const span = (weights[index] / total) * free;
    cluster.from = start + gap / 2;
    cluster.to = cluster.from + span;
    start += span + gap;
    cluster.spots = [];
    let radius = inner + step / 2;
    while (cluster.spots.length < cluster.rows.length) {
      const room = Math.max(1, Math.floor((span * radius) / step));
      const some = cluster.rows.slice(cluster.spots.length, cluster.spots.length + room);
      some.forEach((row, number) => {
        const angle = cluster.from + ((number + 0.5) / room) * span;
        cluster.spots.push({ row, angle, x: x + radius * Math.cos(angle), y: y + radius * Math.sin(angle) });
      });
      radius += step;
    }
    cluster.end = radius - step / 2;
    cluster.middle = (cluster.from + cluster.to) / 2;
  });
  return { x, y, dot: Math.max(Math.min(step * 0.36, 7), 1.1), hub: Math.max(inner * 0.42, 22), inner, outer };
}

function fits(all, weights, total, free, inner, outer, step) {
  return all.every((cluster, index) => {
    const span = (weights[index] / total) * free;
    let left = cluster.rows.length;
    for (let radius = inner + step / 2; left > 0; radius += step) {
      if (radius > outer) return false;
      left -= Math.max(1, Math.floor((span * radius) / step));
    }
    return true;
  });
}
