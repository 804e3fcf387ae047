import { Refusal } from '@dotdo/example-shared/page/request';
import { ask, signUp, type Session } from './api.ts';
import { byId, fieldsOf, onSubmit, reportIn } from '@dotdo/example-shared/page/dom';
import { Room } from './room.ts';

const STORED_AT = 'session';
const signUpForm = byId<HTMLFormElement>('sign-up');
const signInForm = byId<HTMLFormElement>('sign-in');

onSubmit(signUpForm, async () => {
  const { tenant = '', name = '', email = '' } = fieldsOf(signUpForm);
  keep(await signUp(tenant, { name, email }));
});

onSubmit(signInForm, async () => {
  const { tenant = '', token = '' } = fieldsOf(signInForm);
  await ask({ tenant, token }, 'GET', '/status');
  keep({ tenant, token });
});

byId('leave').addEventListener('click', leave);

const stored = localStorage.getItem(STORED_AT);
byId('door').hidden = stored !== null;
if (stored !== null) await reportIn(signInForm, () => open(JSON.parse(stored) as Session));

/** Shows the tenant's board. */
async function open(session: Session): Promise<void> {
  try {
    await Room.open(session);
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

function leave(): void {
  localStorage.removeItem(STORED_AT);
  location.reload();
}
