import { ask, signUp, type Session } from './api.ts';
import { byId, fieldsOf, onSubmit } from '@dotdo/example-shared/page/dom';
import { enter, keepSession, leave } from '@dotdo/example-shared/page/session';
import { Room } from './room.ts';

const signUpForm = byId<HTMLFormElement>('sign-up');
const signInForm = byId<HTMLFormElement>('sign-in');

onSubmit(signUpForm, async () => {
  const { tenant = '', name = '', email = '' } = fieldsOf(signUpForm);
  keepSession(await signUp(tenant, { name, email }));
});

onSubmit(signInForm, async () => {
  const { tenant = '', token = '' } = fieldsOf(signInForm);
  await ask({ tenant, token }, 'GET', '/status');
  keepSession({ tenant, token });
});

byId('leave').addEventListener('click', leave);

await enter<Session>(signInForm, async (session) => {
  await Room.open(session);
  byId('room').hidden = false;
});
