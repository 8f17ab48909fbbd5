import { attacks } from './attacks.ts';
import { shortForm } from './short.ts';

shortForm(
  'others are served while a stranger makes work with',
  attacks.filter(({ group }) => group === 'replies'),
);
