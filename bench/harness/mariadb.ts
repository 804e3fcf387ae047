import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { memoryFolder } from './report.ts';

/** A server of MariaDB that only this process knows. */
export interface Server {
  readonly socketPath: string;
  stop(): Promise<void>;
}

/** Where Debian and most others put the server; `PATH` seldom has `sbin`. */
const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];

function find(program: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/**
 * Starts the MariaDB that is installed on this machine, with its data in memory and everything durable at
 * commit.
 *
 * @throws Error where none is installed.
 */
export async function startMariadb(): Promise<Server> {
  const install = find('mariadb-install-db');
  const server = find('mariadbd');
  if (install === undefined || server === undefined)
    throw new Error('mariadbd and mariadb-install-db are not installed');
  const folder = mkdtempSync(join(memoryFolder, 'mariadb-bench-'));
  const common = ['--no-defaults', `--datadir=${join(folder, 'data')}`, ...asRoot()];
  const made = spawnSync(install, [...common, '--skip-test-db', '--auth-root-authentication-method=normal'], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(`mariadb-install-db failed: ${made.stdout}${made.stderr}`);
  const socketPath = join(folder, 'socket');
  const mariadbd = spawn(
    server,
    [
      ...common,
      `--socket=${socketPath}`,
      '--skip-networking',
      '--innodb-flush-log-at-trx-commit=1',
      '--innodb-buffer-pool-size=1G',
      '--innodb-log-file-size=512M',
      '--sql-mode=ANSI',
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => mariadbd.once('exit', resolve));
  const end = (): void => {
    mariadbd.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  // A benchmark that fails leaves no server behind.
  process.once('exit', end);
  for (let i = 0; i < 200 && !existsSync(socketPath); i++) await wait(50);
  return {
    socketPath,
    stop: async () => {
      mariadbd.kill('SIGKILL');
      await ended;
      process.removeListener('exit', end);
      end();
    },
  };
}

/** The server refuses to run as root unless it is told to. */
function asRoot(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}
