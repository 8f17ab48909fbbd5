import type { SourceConfig } from './config-source-types.ts';
import type { Findings } from './config-text.ts';
import { checkOrigin } from './config-values.ts';

/** Checks what several settings of one source, or several sources, can tell together. */
export function checkSources(sources: SourceConfig[], findings: Findings): void {
  checkKeys(sources, findings);
  for (const source of sources) checkSource(source, findings);
}

function checkSource(source: SourceConfig, findings: Findings): void {
  const { name, protocol, keys, jwt, verify, origins } = source;
  const base = ['sources', name];
  if (protocol === 'webhook' && verify === null && keys.length === 0 && jwt === null) {
    findings.error(base, 'a webhook needs verify (or keys, for a sender that cannot sign)');
  }
  if (protocol === 'segment' && keys.length === 0) {
    findings.error(base, 'a Segment source is chosen by its write key: it needs keys');
  }
  if (protocol !== 'webhook' && verify !== null && verify.scheme !== 'hmac' && verify.scheme !== 'device') {
    findings.error([...base, 'verify', 'scheme'], `${verify.scheme} is for protocol webhook`);
  }
  for (const [index, origin] of (origins ?? []).entries()) {
    checkOrigin(findings, [...base, 'origins', index], origin);
  }
}

function checkKeys(sources: SourceConfig[], findings: Findings): void {
  const owners = new Map<string, string>();
  for (const { name, keys } of sources) {
    for (const [index, { key }] of keys.entries()) {
      const owner = owners.get(key);
      if (key !== '' && owner !== undefined) {
        findings.error(
          ['sources', name, 'keys', index],
          `is a key of ${owner === name ? 'this source' : owner} already`,
        );
      }
      owners.set(key, name);
    }
  }
}
