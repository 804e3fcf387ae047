import { byId, fieldsOf, onSubmit } from '@dotdo/example-shared/page/dom';
import { enter, keepSession, leave } from '@dotdo/example-shared/page/session';
import { check, signUp, type Session } from './api.ts';
import { Dashboard } from './dashboard.ts';

const signUpForm = byId<HTMLFormElement>('sign-up');
const signInForm = byId<HTMLFormElement>('sign-in');

onSubmit(signUpForm, async () => keepSession(await signUp(fieldsOf(signUpForm)['site'] ?? '')));

onSubmit(signInForm, async () => {
  const { site = '', token = '' } = fieldsOf(signInForm);
  const session = { site, read: token };
  await check(session);
  keepSession(session);
});

byId('leave').addEventListener('click', leave);

await enter<Session>(signInForm, async (session) => {
  await Dashboard.open(session);
  byId('room').hidden = false;
});
