/**
 * Prints a token for the fleet, with which buildings are made: TOKEN_SECRET=… npm run token -w examples/iot
 * The secret is the one that the app was deployed with.
 */
import { fleetToken } from './src/access.ts';

console.log(await fleetToken(process.env['TOKEN_SECRET'] ?? '', process.env['USER'] ?? 'admin'));
