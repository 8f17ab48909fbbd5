import type { Report } from '../../ports/report.ts';

/** Gives each fact to all of these, in this order. */
export function combineReports(...reports: Report[]): Report {
  return (fact) => {
    for (const report of reports) report(fact);
  };
}
