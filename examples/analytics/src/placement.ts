import type { Region } from './region.ts';
import type { Site } from './site.ts';
import type { Env } from './worker.ts';

/** Where an object of a region is placed: a jurisdiction is a promise, a location hint a wish. */
const PLACES = {
  eu: { name: 'Europe', jurisdiction: 'eu' },
  na: { name: 'North America', locationHint: 'enam' },
  sa: { name: 'South America', locationHint: 'sam' },
  as: { name: 'Asia', locationHint: 'apac' },
  oc: { name: 'Oceania', locationHint: 'oc' },
  af: { name: 'Africa', locationHint: 'afr' },
} as const;

/** A part of the world whose events stay there. */
export type RegionName = keyof typeof PLACES;

/** All of them. */
export const REGIONS = Object.keys(PLACES) as readonly RegionName[];

/** The part of `request.cf` that says where a visitor is. */
type Origin = Pick<IncomingRequestCfProperties, 'continent' | 'isEUCountry'>;

/**
 * The region that a visitor's events belong to. Parts of the European Union lie on other continents, and its law
 * goes with them; a visitor of whom nothing is known is treated as if its law did.
 */
export function regionOf({ continent, isEUCountry }: Partial<Origin> = {}): RegionName {
  if (isEUCountry === '1') return 'eu';
  const region = continent?.toLowerCase();
  return REGIONS.find((name) => name === region) ?? 'eu';
}

/** The object that holds what happens on a site in a region: made where that is, and never moved. */
export function regionStub(env: Env, site: string, region: RegionName): DurableObjectStub<Region> {
  const place = PLACES[region];
  const name = `${site}/${region}`;
  if ('locationHint' in place) return env.REGION.getByName(name, { locationHint: place.locationHint });
  // A developer's machine is one place. Anywhere else, no jurisdiction is no object.
  if (env.LOCAL_PLACEMENT !== undefined) return env.REGION.getByName(name);
  return env.REGION.jurisdiction(place.jurisdiction).getByName(name);
}

/** The object that has what all regions of a site have counted. */
export function siteStub(env: Env, site: string): DurableObjectStub<Site> {
  return env.SITE.getByName(site);
}
