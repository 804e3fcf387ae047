import { byId, fieldsOf, onSubmit, reportIn } from '@dotdo/example-shared/page/dom';
import { Refusal, request } from '@dotdo/example-shared/page/request';
import { ask, type Session } from './api.ts';
import { openFleet } from './fleet.ts';
import { Room } from './room.ts';

const STORED_AT = 'session';
const buildingForm = byId<HTMLFormElement>('open-building');
const fleetForm = byId<HTMLFormElement>('open-fleet');

onSubmit(buildingForm, async () => {
  const { building = '', token = '' } = fieldsOf(buildingForm);
  await ask({ building, token }, 'GET', '/status');
  keep({ building, token });
});

onSubmit(fleetForm, async () => {
  const { token = '' } = fieldsOf(fleetForm);
  await request('GET', '/fleet', { token });
  keep({ token });
});

for (const button of document.querySelectorAll('.leave')) button.addEventListener('click', leave);

const stored = localStorage.getItem(STORED_AT);
byId('door').hidden = stored !== null;
if (stored !== null) await reportIn(buildingForm, () => open(JSON.parse(stored) as Session));

/** Shows the building, or the fleet. */
async function open(session: Session): Promise<void> {
  const isFleet = session.building === undefined;
  try {
    await (isFleet ? openFleet(session) : Room.open(session));
    byId(isFleet ? 'fleet' : 'room').hidden = false;
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
