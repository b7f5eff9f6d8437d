// A ZIP archive of files that are compressed already, so that they are only stored.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function checksum(bytes) {
  let sum = ~0;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** A Blob of the archive of [name, Blob] pairs; a name that comes again gets a number. */
export async function zip(files) {
  const parts = [], directory = [], names = new Set();
  let offset = 0, directorySize = 0;
  for (const [wanted, blob] of files) {
    const name = new TextEncoder().encode(unique(wanted, names));
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const known = [0x0800, 0, 0, 0x21, checksum(bytes), bytes.length, bytes.length, name.length, 0]; // UTF-8; stored
    const head = record(0x04034b50, [20, 2], ...known.map((value, i) => [value, i > 3 && i < 7 ? 4 : 2]));
    const entry = record(
      0x02014b50, [20, 2], [20, 2], ...known.map((value, i) => [value, i > 3 && i < 7 ? 4 : 2]),
      [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4],
    );
    parts.push(head, name, bytes);
    directory.push(entry, name);
    offset += head.length + name.length + bytes.length;
    directorySize += entry.length + name.length;
  }
  const end = record(
    0x06054b50, [0, 2], [0, 2], [files.length, 2], [files.length, 2], [directorySize, 4], [offset, 4], [0, 2],
  );
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function record(signature, ...fields) {
  const all = [[signature, 4], ...fields];
  const view = new DataView(new ArrayBuffer(all.reduce((sum, [, size]) => sum + size, 0)));
  let place = 0;
  for (const [value, size] of all) {
    if (size === 4) view.setUint32(place, value, true);
    else view.setUint16(place, value, true);
    place += size;
  }
  return new Uint8Array(view.buffer);
}

function unique(name, taken) {
  const [, stem, extension] = /^(.*?)(\.[^.]*)?$/s.exec(name);
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${stem}-${number}${extension ?? ""}`;
  taken.add(free);
  return free;
}
