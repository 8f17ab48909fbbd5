import { fetchRelay } from '../../src/adapters/relay.ts';
import { relayContract } from '../contracts/relay.ts';

relayContract('fetch', (options) => fetchRelay({ ...options, addressHeader: null, onProblem: () => {} }));
