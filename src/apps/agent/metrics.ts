/** What /metrics shows, in Prometheus' text format; labels are bounded. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { EbpfDataplane } from '../../dataplane/ebpf/driver.js';
import type { Agent } from './agent.js';
import type { OpenedDataplane } from './dataplane-choice.js';
import type { Answer } from './http-server.js';

export class AgentMetrics {
  readonly #registry = new Registry();

  /** For those who have more to show. */
  get registry(): Registry {
    return this.#registry;
  }

  constructor(agent: Agent, { dataplane, reason, backend }: OpenedDataplane) {
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: 'margay_dataplane_info',
      help: 'Always 1: which dataplane enforces here, in which tables of iptables, and why that one.',
      labelNames: ['dataplane', 'backend', 'reason'],
      registers: [this.#registry],
    }).set({ dataplane: dataplane.name, backend: backend ?? '', reason }, 1);
    this.#gauge(
      'margay_endpoints',
      'Workload endpoints of this host.',
      () => agent.status().endpoints,
    );
    this.#gauge(
      'margay_policies',
      'Policies that select one of them.',
      () => agent.status().policies,
    );
    this.#gauge(
      'margay_errors',
      'What cannot be programmed, and invalid objects.',
      () => agent.status().errors.length,
    );
    this.#gauge(
      'margay_invalid_objects',
      'Objects of the datastore that are invalid and treated as absent.',
      () => agent.invalidObjects,
    );
    if (dataplane.name === 'iptables') {
      this.#gauge(
        'margay_ipset_members',
        'Members of all IP sets of this dataplane.',
        () => dataplane.memberCount,
      );
      return;
    }
    this.#gauge(
      'margay_connections',
      'Tracked connections when they were last counted.',
      () => dataplane.statistics().conntrack.live,
    );
    this.#tableUse(dataplane);
    this.#packets(dataplane);
  }

  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(value());
      },
    });
  }

  #tableUse(dataplane: EbpfDataplane): void {
    new Gauge({
      name: 'margay_table_elements',
      help: 'Elements in use of each classification table.',
      labelNames: ['table'],
      registers: [this.#registry],
      collect() {
        for (const [table, count] of Object.entries(dataplane.statistics().tables))
          this.set({ table }, count);
      },
    });
  }

  #packets(dataplane: EbpfDataplane): void {
    for (const unit of ['packets', 'bytes'] as const) {
      new Gauge({
        name: `margay_${unit}_total`,
        help: `Judged ${unit} by reason; they go on counting while no agent runs.`,
        labelNames: ['reason'],
        registers: [this.#registry],
        collect() {
          for (const count of dataplane.counters())
            this.set({ reason: count.reason }, Number(count[unit]));
        },
      });
    }
  }

  async answer(): Promise<Answer> {
    return { status: 200, type: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}
