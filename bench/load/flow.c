/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A steady flow of numbered UDP packets to an echo server, on one socket. Reports, as one line of JSON, how many
 * came back, which was the longest run of losses, and the longest silence. Stops early, and still reports, on SIGTERM.
 */
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_term(int number)
{
	(void)number;
	stopped = 1;
}

static uint64_t receive_all(int fd, uint8_t *seen, uint64_t max, uint64_t *silence, uint64_t *last)
{
	uint64_t sequence, fresh = 0;

	while (recv(fd, &sequence, sizeof(sequence), MSG_DONTWAIT) == (ssize_t)sizeof(sequence)) {
		uint64_t now = now_ns();

		if (now - *last > *silence)
			*silence = now - *last;
		*last = now;
		if (sequence < max && !seen[sequence]) {
			seen[sequence] = 1;
			fresh++;
		}
	}
	return fresh;
}

static uint64_t longest_gap(const uint8_t *seen, uint64_t sent)
{
	uint64_t gap = 0, longest = 0;

	for (uint64_t i = 0; i < sent; i++) {
		gap = seen[i] ? 0 : gap + 1;
		if (gap > longest)
			longest = gap;
	}
	return longest;
}

int flow_main(int argc, char **argv)
{
	struct sockaddr_storage to;
	int room = 4 << 20;

	if (argc != 5) {
		fprintf(stderr, "usage: margay-load flow ADDRESS PORT PACKETS_PER_S SECONDS\n");
		return 1;
	}
	socklen_t size = parse_address(argv[1], (int)parse_number(argv[2], 1, 65535, "port"), &to);
	uint64_t rate = (uint64_t)parse_number(argv[3], 1, 1000000, "packets per second");
	uint64_t max = rate * (uint64_t)parse_number(argv[4], 1, 3600, "seconds");
	uint8_t *seen = calloc(max, 1);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!seen || fd < 0 || connect(fd, (struct sockaddr *)&to, size))
		die("flow");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	signal(SIGTERM, on_term);
	uint64_t started = now_ns(), last = started, silence = 0, sent = 0, received = 0, errors = 0;

	printf("started\n");
	while (sent < max && !stopped) {
		uint64_t due = started + sent * 1000000000ull / rate, now = now_ns();

		if (now < due) {
			struct pollfd wait = { .fd = fd, .events = POLLIN };
			struct timespec pause = { .tv_nsec = (long)(due - now < 1000000000ull ? due - now : 999999999ull) };

			if (ppoll(&wait, 1, &pause, NULL) > 0)
				received += receive_all(fd, seen, max, &silence, &last);
			continue;
		}
		if (send(fd, &sent, sizeof(sent), 0) != (ssize_t)sizeof(sent))
			errors++;
		sent++;
		received += receive_all(fd, seen, max, &silence, &last);
	}
	uint64_t grace = now_ns() + 500000000ull;

	while (received < sent && now_ns() < grace) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };

		poll(&wait, 1, 10);
		received += receive_all(fd, seen, max, &silence, &last);
	}
	printf("{\"test\":\"flow\",\"sent\":%llu,\"received\":%llu,\"lost\":%llu,\"longestGap\":%llu,\"sendErrors\":%llu,\"longestSilenceMs\":%.3f}\n",
	       (unsigned long long)sent, (unsigned long long)received, (unsigned long long)(sent - received),
	       (unsigned long long)longest_gap(seen, sent), (unsigned long long)errors, (double)silence / 1e6);
	free(seen);
	return 0;
}
