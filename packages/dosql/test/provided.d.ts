import 'vitest';

/** What vitest.config.ts hands in. */
declare module 'vitest' {
  interface ProvidedContext {
    readmes: string[];
    readmeCode: string;
    guides: string[];
    guideCode: string;
    tieringGuide: string;
    tieringCode: string;
    /** The guides, and the code that they show, by the names of their files. */
    docs: Record<string, string>;
    docCode: Record<string, string>;
    errorSource: string;
    /** What VITE_SEED says; empty without it. */
    seed: string;
    /** How many random runs of the streams' model; empty for a few. */
    runs: string;
  }
}
