/** An archive that the kernel unpacks into its first root: cpio, format newc, written here because it is small. */
export interface ArchiveFile {
  readonly path: string;
  /** Absent: a folder. */
  readonly content?: Buffer;
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');
const FOLDER = 0o040755;
const PROGRAM = 0o100755;

function entry(path: string, mode: number, content: Buffer, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const head = Buffer.concat([Buffer.from(`070701${fields.map(hex).join('')}`), name]);
  return Buffer.concat([padded(head), padded(content)]);
}

/** Headers and contents begin at multiples of four. */
function padded(part: Buffer): Buffer {
  return Buffer.concat([part, Buffer.alloc((4 - (part.length % 4)) % 4)]);
}

export function initramfs(files: readonly ArchiveFile[]): Buffer {
  const entries = files.map(({ path, content }, i) =>
    entry(path, content === undefined ? FOLDER : PROGRAM, content ?? Buffer.alloc(0), i + 1),
  );
  return Buffer.concat([...entries, entry('TRAILER!!!', 0, Buffer.alloc(0), 0)]);
}
