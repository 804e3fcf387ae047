import { byId, fieldsOf, onSubmit } from '@dotdo/example-shared/page/dom';
import { enter, keepSession, leave } from '@dotdo/example-shared/page/session';
import { request } from '@dotdo/example-shared/page/request';
import { ask, type Session } from './api.ts';
import { openFleet } from './fleet.ts';
import { Room } from './room.ts';

const buildingForm = byId<HTMLFormElement>('open-building');
const fleetForm = byId<HTMLFormElement>('open-fleet');

onSubmit(buildingForm, async () => {
  const { building = '', token = '' } = fieldsOf(buildingForm);
  await ask({ building, token }, 'GET', '/status');
  keepSession({ building, token });
});

onSubmit(fleetForm, async () => {
  const { token = '' } = fieldsOf(fleetForm);
  await request('GET', '/fleet', { token });
  keepSession({ token });
});

for (const button of document.querySelectorAll('.leave')) button.addEventListener('click', leave);

await enter<Session>(buildingForm, async (session) => {
  const isFleet = session.building === undefined;
  await (isFleet ? openFleet(session) : Room.open(session));
  byId(isFleet ? 'fleet' : 'room').hidden = false;
});
