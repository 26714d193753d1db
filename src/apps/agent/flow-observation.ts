/**
 * What this agent knows of packets: takes sightings from the dataplane, keeps the newest events, counts for rules,
 * writes the files that were asked for, and serves all of it on the control socket.
 */
import type { ServerResponse } from 'node:http';
import type { Log } from '../../base/log.js';
import type { PacketObserver } from '../../dataplane/packet-observer.js';
import type { FlowSighting } from '../../model/flow.js';
import type { ResourceUpdate } from '../../model/update.js';
import { EVENTS_PATH, RULES_PATH, type RuleUse } from '../../observe/agent-protocol.js';
import { EndpointNames } from '../../observe/endpoint-names.js';
import { FlowAggregator } from '../../observe/flow-aggregator.js';
import { FlowCollector } from '../../observe/flow-collector.js';
import { FlowEventMaker } from '../../observe/flow-event.js';
import { FlowRing } from '../../observe/flow-ring.js';
import { JsonLinesFile } from '../../observe/json-lines-file.js';
import { hitsOf, type RuleOwners } from '../../observe/policy-attribution.js';
import { RuleStatistics } from '../../observe/rule-statistics.js';
import { answer, type ControlRoute } from './control-server.js';
import { EventStreams } from './event-streams.js';
import { PacketLog } from './packet-log.js';

export interface FlowObservationOptions {
  readonly node: string;
  readonly observer: PacketObserver;
  readonly rules: RuleOwners;
  readonly log: Log;
  readonly ringSize: number;
  /** Write dropped packets to the agent's log, too. */
  readonly logDrops: boolean;
  /** Empty: no such file. */
  readonly deniedFile: string;
  readonly flowFile: string;
  readonly flushIntervalMs: number;
}

export class FlowObservation implements AsyncDisposable {
  readonly names = new EndpointNames();
  readonly ring: FlowRing;
  readonly collector: FlowCollector;
  readonly #options: FlowObservationOptions;
  readonly #statistics = new RuleStatistics();
  readonly #streams: EventStreams;
  readonly #packetLog: PacketLog;
  readonly #aggregator: FlowAggregator;
  readonly #deniedFile: JsonLinesFile | undefined;
  readonly #flowFile: JsonLinesFile | undefined;
  readonly #flush: ReturnType<typeof setInterval> | undefined;
  #intervalStartMs = Date.now();
  #lostBefore: number;

  constructor(options: FlowObservationOptions) {
    const { node, observer, rules, log } = options;
    this.#options = options;
    this.ring = new FlowRing(options.ringSize);
    const maker = new FlowEventMaker({ node, rules, names: this.names, wallTime });
    this.collector = new FlowCollector({
      ...{ maker, ring: this.ring, statistics: this.#statistics },
      onProgress: (progress) => this.#aggregator.onProgress(progress),
    });
    this.#aggregator = new FlowAggregator({ node, rules, names: this.names });
    this.#packetLog = new PacketLog({ log, drops: options.logDrops });
    this.#streams = new EventStreams({ node, ring: this.ring, observer });
    this.#lostBefore = observer.lost();
    if (options.deniedFile !== '') this.#deniedFile = new JsonLinesFile(options.deniedFile, log);
    if (options.flowFile !== '') {
      this.#flowFile = new JsonLinesFile(options.flowFile, log);
      this.#flush = setInterval(() => this.#writeFlows(), options.flushIntervalMs).unref();
    }
    this.ring.follow((event) => {
      if (event.verdict === 'Deny') this.#deniedFile?.write(event);
    });
    observer.onSighting((sighting) => this.#onSighting(sighting));
  }

  #onSighting(sighting: FlowSighting): void {
    this.collector.onSighting(sighting);
    if (sighting.type !== 'packet') return;
    this.#packetLog.onPacket(sighting);
    if (sighting.allow || this.#flowFile === undefined) return;
    const newest = this.ring.newest().next();
    if (newest.done !== true) this.#aggregator.onEvent(newest.value, sighting.bytes);
  }

  onResource(update: ResourceUpdate): void {
    this.names.onResource(update);
  }

  #writeFlows(): void {
    const startMs = this.#intervalStartMs;
    const endMs = Date.now();
    const lost = this.#options.observer.lost();
    const incomplete = lost !== this.#lostBefore;
    for (const flow of this.#aggregator.take({ startMs, endMs, incomplete })) {
      this.#flowFile?.write(flow);
    }
    this.#lostBefore = lost;
    this.#intervalStartMs = endMs;
  }

  /** Rules by what they have decided, with the kernel's counters as they are now. */
  ruleCounts(): RuleStatistics {
    this.#statistics.addHits(this.#options.observer.takeRuleHits(), Date.now());
    return this.#statistics;
  }

  ruleUse(): readonly RuleUse[] {
    const { rules } = this.#options;
    return this.ruleCounts()
      .all()
      .flatMap(({ decision, ...count }) => {
        // What decided last says Allow or Deny; a rule by itself says what it is.
        const action = ruleAction(decision, rules);
        return hitsOf([decision], action !== 'deny', rules).map((hit) => ({
          ...{ hit: action === 'pass' ? { ...hit, action: 'Pass' as const } : hit },
          ...{ direction: decision.direction, ...count },
        }));
      });
  }

  get lost(): number {
    return this.#options.observer.lost();
  }

  routes(): Readonly<Record<string, ControlRoute>> {
    return {
      [EVENTS_PATH]: (query: URLSearchParams, response: ServerResponse) =>
        this.#streams.serve(query, response),
      [RULES_PATH]: (_query, response) => answer(response, this.ruleUse()),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#flush);
    if (this.#flowFile !== undefined) this.#writeFlows();
    this.#streams[Symbol.dispose]();
    await this.#deniedFile?.[Symbol.asyncDispose]();
    await this.#flowFile?.[Symbol.asyncDispose]();
  }
}

type RuleDecision = Parameters<RuleStatistics['get']>[0];

function ruleAction(
  decision: RuleDecision,
  rules: RuleOwners,
): 'allow' | 'deny' | 'pass' | 'log' | undefined {
  if (decision.by !== 'policy' && decision.by !== 'profile') return 'deny';
  const owner = decision.by === 'policy' ? rules.policy(decision.id) : rules.profile(decision.id);
  return owner?.[decision.direction].find(({ index }) => index === decision.index)?.action;
}

/** CLOCK_MONOTONIC is what process.hrtime reads. */
function wallTime(ns: bigint): number {
  return Date.now() - Number(process.hrtime.bigint() - ns) / 1e6;
}
