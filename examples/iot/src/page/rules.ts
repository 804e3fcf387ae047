import { byId, create, fieldsOf, fillSelect, onSubmit } from '@dotdo/example-shared/page/dom';
import { ask, type Session } from './api.ts';
import { conditionText, CONDITIONS, UNITS, type Rule } from './model.ts';

/** The building's rules, and the form that adds one. */
export class Rules {
  readonly #session: Session;
  readonly #changed: () => void;
  readonly #failed: (error: unknown) => void;
  readonly #form = byId<HTMLFormElement>('new-rule');
  all: readonly Rule[] = [];

  constructor(session: Session, changed: () => void, failed: (error: unknown) => void) {
    this.#session = session;
    this.#changed = changed;
    this.#failed = failed;
    const field = <E extends Element>(name: string): E => this.#form.elements.namedItem(name) as unknown as E;
    const [type, condition] = [
      field<HTMLSelectElement>('sensor_type'),
      field<HTMLSelectElement>('condition'),
    ];
    fillSelect(
      type,
      Object.entries(UNITS).map(([name, unit]) => [name, `${name} (${unit})`]),
      'temperature',
    );
    fillSelect(condition, Object.entries(CONDITIONS), 'gt');
    condition.addEventListener('change', () => {
      field<HTMLInputElement>('to').disabled = condition.value !== 'range_outside';
      field<HTMLInputElement>('to').required = condition.value === 'range_outside';
    });
    onSubmit(this.#form, () => this.#add());
  }

  /** Reads them anew. */
  async load(): Promise<void> {
    this.all = (await ask<{ rules: Rule[] }>(this.#session, 'GET', '/alerts/rules')).rules;
    byId('rules').replaceChildren(...this.all.map((rule) => this.#item(rule)));
    this.#changed();
  }

  async #add(): Promise<void> {
    const { sensor_type, sensor_id = '', condition, value, to, severity } = fieldsOf(this.#form);
    const thresholds =
      condition === 'range_outside'
        ? { threshold_min: Number(value), threshold_max: Number(to) }
        : { threshold_value: Number(value) };
    const sensor = sensor_id.trim() === '' ? {} : { sensor_id: sensor_id.trim() };
    await ask(this.#session, 'POST', '/alerts/rules', {
      sensor_type,
      condition,
      severity,
      ...sensor,
      ...thresholds,
    });
    await this.load();
  }

  #item(rule: Rule): HTMLElement {
    const { id, enabled, sensor_type, sensor_id, severity } = rule;
    const toggle = create('input', { type: 'checkbox', checked: enabled });
    toggle.ariaLabel = `Rule ${id}`;
    toggle.addEventListener('change', () =>
      this.#act('PATCH', `/alerts/rules/${id}`, { enabled: toggle.checked }),
    );
    const remove = create('button', { className: 'danger' }, '×');
    remove.ariaLabel = `Delete rule ${id}`;
    remove.addEventListener('click', () => this.#act('DELETE', `/alerts/rules/${id}`));
    const text = `${sensor_type}${sensor_id === null ? '' : ` of ${sensor_id}`} ${conditionText(rule)}: ${severity}`;
    return create('li', {}, toggle, create('span', {}, text), remove);
  }

  #act(method: string, path: string, body?: unknown): void {
    ask(this.#session, method, path, body)
      .then(() => this.load())
      .catch(this.#failed);
  }
}
