import { byId, fieldsOf, onSubmit, reportIn } from '@dotdo/example-shared/page/dom';
import { Refusal } from '@dotdo/example-shared/page/request';
import { check, signUp, type Session } from './api.ts';
import { Dashboard } from './dashboard.ts';

const STORED_AT = 'session';
const signUpForm = byId<HTMLFormElement>('sign-up');
const signInForm = byId<HTMLFormElement>('sign-in');

onSubmit(signUpForm, async () => keep(await signUp(fieldsOf(signUpForm)['site'] ?? '')));

onSubmit(signInForm, async () => {
  const { site = '', token = '' } = fieldsOf(signInForm);
  const session = { site, read: token };
  await check(session);
  keep(session);
});

byId('leave').addEventListener('click', () => {
  localStorage.removeItem(STORED_AT);
  location.reload();
});

const stored = localStorage.getItem(STORED_AT);
byId('door').hidden = stored !== null;
if (stored !== null) await reportIn(signInForm, () => open(JSON.parse(stored) as Session));

/** Shows the site's dashboard. */
async function open(session: Session): Promise<void> {
  try {
    await Dashboard.open(session);
    byId('room').hidden = false;
  } catch (error) {
    byId('door').hidden = false;
    // A token that is refused will not become better; a server that is away will come back.
    if (error instanceof Refusal && error.status < 500) localStorage.removeItem(STORED_AT);
    throw error;
  }
}

/** Every visit begins alike, with the session that is kept. */
function keep(session: Session): void {
  localStorage.setItem(STORED_AT, JSON.stringify(session));
  location.reload();
}
