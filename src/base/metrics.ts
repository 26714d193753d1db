/**
 * Prometheus metrics in a registry of our own. prom-client takes 54 ms to load, so that is done when a
 * registry is opened: the command line never pays for it.
 */
import type { Registry } from 'prom-client';

type PromClient = typeof import('prom-client');

export interface MetricOptions<Label extends string> {
  /** Ends in its unit: _seconds, _bytes, _total; or is the name Calico gives it. */
  readonly name: string;
  readonly help: string;
  /** Bounded sets of values only, never an address. Default: none. */
  readonly labels?: readonly Label[];
}

export interface HistogramOptions<Label extends string> extends MetricOptions<Label> {
  /** Upper bounds, ascending, in the unit of the name. */
  readonly buckets: readonly number[];
}

export type Labels<Label extends string> = Readonly<Record<Label, string>>;

export interface Counter<Label extends string = never> {
  /** Default: by one. */
  inc(labels: Labels<Label>, by?: number): void;
}

export interface Gauge<Label extends string = never> {
  set(labels: Labels<Label>, value: number): void;
  /** That series is no longer exported. */
  remove(labels: Labels<Label>): void;
}

export interface Histogram<Label extends string = never> {
  observe(labels: Labels<Label>, value: number): void;
}

export class Metrics {
  readonly #client: PromClient;
  readonly #registry: Registry;

  private constructor(client: PromClient) {
    this.#client = client;
    this.#registry = new client.Registry();
  }

  static async open(): Promise<Metrics> {
    const module = await import('prom-client');
    return new Metrics(module.default);
  }

  /** Of the HTTP answer that carries text(). */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in the text format, as Prometheus scrapes them. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** CPU, memory, event loop and garbage collection of this process. */
  addProcessMetrics(): void {
    this.#client.collectDefaultMetrics({ register: this.#registry });
  }

  counter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label> {
    const counter = new this.#client.Counter(this.#configuration(options));
    return { inc: (labels, by = 1) => counter.inc({ ...labels }, by) };
  }

  gauge<Label extends string = never>(options: MetricOptions<Label>): Gauge<Label> {
    const gauge = new this.#client.Gauge(this.#configuration(options));
    return {
      set: (labels, value) => gauge.set({ ...labels }, value),
      remove: (labels) => gauge.remove({ ...labels }),
    };
  }

  /**
   * Asked for all its series at each scrape, so that nothing has to be kept up to date. Series that are no
   * longer given disappear. A 'counter' is one that somebody else counts, such as a BPF map.
   */
  computed<Label extends string = never>(
    kind: 'gauge' | 'counter',
    options: MetricOptions<Label>,
    series: () => Iterable<readonly [Labels<Label>, number]>,
  ): void {
    const Metric = kind === 'gauge' ? this.#client.Gauge : this.#client.Counter;
    new Metric({
      ...this.#configuration(options),
      collect() {
        this.reset();
        for (const [labels, value] of series()) this.inc({ ...labels }, value);
      },
    });
  }

  histogram<Label extends string = never>(options: HistogramOptions<Label>): Histogram<Label> {
    const buckets = [...options.buckets];
    const histogram = new this.#client.Histogram({ ...this.#configuration(options), buckets });
    return { observe: (labels, value) => histogram.observe({ ...labels }, value) };
  }

  #configuration<Label extends string>(options: MetricOptions<Label>) {
    const labelNames: string[] = [...(options.labels ?? [])];
    return { name: options.name, help: options.help, labelNames, registers: [this.#registry] };
  }
}
