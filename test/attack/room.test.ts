import { attacks } from './attacks.ts';
import { shortForm } from './short.ts';

shortForm(
  'others are served while a stranger holds',
  attacks.filter(({ group }) => group === 'room'),
);
