/** The counters of a STUN server as Prometheus reads them. */
import type { StunEndpoint, StunServerCounters } from './stun-server.ts';

/** The Content-Type of {@link metricsText}: Prometheus text format 0.0.4. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string | number>>;

/** Prometheus text. */
export function metricsText(counters: StunServerCounters, endpoints: readonly StunEndpoint[]): string {
  const metric = (
    name: string,
    kind: 'counter' | 'gauge',
    help: string,
    samples: readonly (readonly [Labels, number])[],
  ) => {
    const lines = samples.map(([labels, value]) => {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
      return `routepool_stun_${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
    });
    return [`# HELP routepool_stun_${name} ${help}`, `# TYPE routepool_stun_${name} ${kind}`, ...lines].join('\n');
  };
  const { requests, replies, errors, reasons, dropped, connections, refused } = counters;
  return `${[
    metric('requests_total', 'counter', 'Datagrams, and messages over TCP, received.', [[{}, requests]]),
    metric('replies_total', 'counter', 'Replies sent.', [
      [{ class: 'success' }, replies - errors],
      [{ class: 'error' }, errors],
    ]),
    metric(
      'ignored_total',
      'counter',
      'Datagrams that got no reply, by reason.',
      Object.entries(reasons).map(([reason, count]) => [{ reason }, count] as const),
    ),
    metric('kernel_drops_total', 'counter', 'Datagrams that the kernel dropped since a receive buffer was full.', [
      [{}, dropped],
    ]),
    metric('tcp_connections_total', 'counter', 'TCP connections accepted.', [[{}, connections]]),
    metric('tcp_refused_total', 'counter', 'TCP connections closed at once.', [[{}, refused]]),
    metric(
      'endpoint_info',
      'gauge',
      'Where the server listens, and what clients are told.',
      endpoints.map(({ address, port, advertised }) => [{ address, port, advertised }, 1] as const),
    ),
  ].join('\n')}\n`;
}
