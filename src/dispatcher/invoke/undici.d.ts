// The whole of undici takes a twentieth of a second of a start; what is needed of it has no name of its own.
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export = Pool;
}
