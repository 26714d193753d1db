/* SPDX-License-Identifier: Apache-2.0 */
/* rr, crr and stream clients. One line of JSON with the rate and the latency distribution. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Log-linear histogram: 64 powers of two, 32 steps each: 3 % resolution, no allocation. */
#define STEPS 32
static uint64_t histogram[64 * STEPS];

static void record(uint64_t ns)
{
	int power = 63 - __builtin_clzll(ns | 1);
	uint64_t step = power > 5 ? (ns >> (power - 5)) & (STEPS - 1) : ns & (STEPS - 1);

	histogram[power * STEPS + (int)step]++;
}

static double percentile(double share, uint64_t total)
{
	uint64_t seen = 0, wanted = (uint64_t)(share * (double)total);

	for (int i = 0; i < 64 * STEPS; i++) {
		seen += histogram[i];
		if (seen > wanted) {
			int power = i / STEPS;

			return power > 5 ? (double)(1ull << power) + (double)(i % STEPS) * (double)(1ull << (power - 5)) : (double)(i % STEPS);
		}
	}
	return 0;
}

static int connect_to(const struct sockaddr_storage *to, socklen_t size)
{
	int one = 1;
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)to, size))
		die("connect");
	return fd;
}

static void exchange(int fd)
{
	char byte = 'm';

	if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
		die("exchange");
}

static void measure_transactions(const char *name, int connect_each, const struct sockaddr_storage *to, socklen_t size, double seconds)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	uint64_t started = now_ns(), end = started + (uint64_t)(seconds * 1e9), count = 0, last = started;
	int fd = connect_each ? -1 : connect_to(to, size);

	while (last < end) {
		uint64_t before = last;

		if (connect_each)
			fd = connect_to(to, size);
		exchange(fd);
		if (connect_each) {
			/* Reset on close: no TIME_WAIT, so that ports do not run out. */
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			close(fd);
		}
		last = now_ns();
		record(last - before);
		count++;
	}
	printf("{\"test\":\"%s\",\"seconds\":%.6f,\"count\":%llu,\"perSecond\":%.1f,\"p50Us\":%.2f,\"p99Us\":%.2f}\n", name,
	       (double)(last - started) / 1e9, (unsigned long long)count, (double)count * 1e9 / (double)(last - started),
	       percentile(0.5, count) / 1e3, percentile(0.99, count) / 1e3);
}

static void measure_stream(const struct sockaddr_storage *to, socklen_t size, double seconds)
{
	static char buffer[128 * 1024];
	int fd = connect_to(to, size);
	uint64_t started = now_ns(), end = started + (uint64_t)(seconds * 1e9), bytes = 0, last = started;
	struct tcp_info info;
	socklen_t info_size = sizeof(info);

	while (last < end) {
		ssize_t sent = send(fd, buffer, sizeof(buffer), 0);

		if (sent < 0)
			die("send");
		bytes += (uint64_t)sent;
		last = now_ns();
	}
	memset(&info, 0, sizeof(info));
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_size);
	printf("{\"test\":\"stream\",\"seconds\":%.6f,\"bytes\":%llu,\"gbitPerSecond\":%.3f,\"retransmits\":%u}\n",
	       (double)(last - started) / 1e9, (unsigned long long)bytes, (double)bytes * 8 / (double)(last - started),
	       info.tcpi_total_retrans);
}

int measure_main(int argc, char **argv)
{
	struct sockaddr_storage to;

	if (argc != 4) {
		fprintf(stderr, "usage: margay-load %s ADDRESS PORT SECONDS\n", argv[0]);
		return 1;
	}
	socklen_t size = parse_address(argv[1], (int)parse_number(argv[2], 1, 65535, "port"), &to);
	double seconds = atof(argv[3]);

	if (!strcmp(argv[0], "stream"))
		measure_stream(&to, size, seconds);
	else
		measure_transactions(argv[0], !strcmp(argv[0], "crr"), &to, size, seconds);
	return 0;
}
