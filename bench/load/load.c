/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void die(const char *what)
{
	fprintf(stderr, "margay-load: %s: %s\n", what, strerror(errno));
	exit(1);
}

socklen_t parse_address(const char *text, int port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		return sizeof(*v6);
	}
	fprintf(stderr, "margay-load: \"%s\" is not an IP address\n", text);
	exit(1);
}

long parse_number(const char *text, long min, long max, const char *what)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || *end || end == text || value < min || value > max) {
		fprintf(stderr, "margay-load: %s: \"%s\" is not a whole number from %ld to %ld\n", what, text, min, max);
		exit(1);
	}
	return value;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "serve", serve_main, "serve PORT...                          echo on TCP and UDP until killed; prints \"ready\"" },
	{ "probe", probe_main, "probe                                  reads \"ID tcp|udp|icmp ADDRESS PORT TIMEOUT_MS\" lines, answers \"ID RESULT US\"" },
	{ "rr", measure_main, "rr ADDRESS PORT SECONDS                request/response on one connection" },
	{ "crr", measure_main, "crr ADDRESS PORT SECONDS               connect, request/response, close" },
	{ "stream", measure_main, "stream ADDRESS PORT SECONDS            one TCP stream to a serve --discard port" },
	{ "flow", flow_main, "flow ADDRESS PORT PACKETS_PER_S SECONDS  numbered UDP packets, echoed; reports losses" },
	{ "inject", inject_main, "inject                                 reads \"link NAME HEX\" and \"ip HEX\" lines, sends each as it is; \"forget\": all tracked connections" },
	{ "sink", sink_main, "sink PORT...                           counts numbered datagrams; a line on standard input asks for the counts" },
	{ "storm", storm_main, "storm ADDRESS PORT ONE_WAY_PORT DENIED_PORT PACKETS_PER_S CONNECTIONS  allowed and denied traffic at once; reports on SIGTERM" },
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "usage:\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  margay-load %s\n", commands[i].usage);
	return 1;
}
