import type { ChangeSource } from '../change-log.ts';
import type { LogSlot } from '../slot.ts';
import { DeadLetters, type DeadLetter, type DeadLetterOptions } from './dead-letters.ts';
import { SlotDelivery } from './delivery.ts';
import type { DeliverOptions, Delivery, ReplayOptions, ReplayResult } from './options.ts';
import type { Sink } from './sink.ts';
import { DeliveryKeys } from './state.ts';

const deliveries = new WeakMap<ChangeSource, Map<string, SlotDelivery>>();

/** Delivers a slot's events to a sink from now on, in place of the sink that it had. */
export function deliver(
  source: ChangeSource,
  slot: LogSlot,
  sink: Sink,
  options: DeliverOptions,
): Promise<Delivery> {
  let known = deliveries.get(source);
  if (known === undefined) deliveries.set(source, (known = new Map()));
  const delivery = known.get(slot.name) ?? new SlotDelivery(source, slot, sink, options);
  delivery.configure(slot, sink, options);
  known.set(slot.name, delivery);
  return delivery.start();
}

/** The dead letters of a slot's delivery, oldest first. */
export function listDeadLetters(
  source: ChangeSource,
  slot: string,
  options: DeadLetterOptions,
): Promise<DeadLetter[]> {
  return source.atomically(() => lettersOf(source, slot).list(options));
}

/** Removes dead letters for good; returns how many there were. */
export function discardDeadLetters(
  source: ChangeSource,
  slot: string,
  ids: readonly number[],
): Promise<number> {
  return source.atomically(() => lettersOf(source, slot).remove(ids));
}

/** Sends dead letters again through the sink that the slot is delivered to. */
export async function replayDeadLetters(
  source: ChangeSource,
  slot: string,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const delivery = deliveries.get(source)?.get(slot);
  if (delivery === undefined)
    throw source.error(
      'BAD_PARAMETER',
      `slot "${slot}" is not delivered anywhere: call cdc.deliver() whenever the object wakes`,
    );
  return delivery.replay(options);
}

function lettersOf(source: ChangeSource, slot: string): DeadLetters {
  return new DeadLetters(source, new DeliveryKeys(slot));
}
