/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts numbered datagrams: a port's packets carry a number each, as storm sends them, and one that comes twice counts
 * once. A TCP connection to the same port opens, so that nobody takes a closed port for one that policy protects. A line
 * on standard input asks for a report: what each port got, and what was lost for want of room in our own socket.
 */
#include "load.h"

#include <linux/sock_diag.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_MAX 8
#define NUMBERS_MAX (1u << 28)

struct port {
	long number;
	int fd;
	uint8_t *seen;
	uint64_t got;
};

static void drain(struct port *port)
{
	uint64_t number;

	while (recv(port->fd, &number, sizeof(number), MSG_DONTWAIT) == (ssize_t)sizeof(number)) {
		if (number >= NUMBERS_MAX || port->seen[number / 8] & 1 << number % 8)
			continue;
		port->seen[number / 8] |= (uint8_t)(1 << number % 8);
		port->got++;
	}
}

/* Packets that the kernel threw away because the socket was full: lost by this tool, not by what is tested. */
static uint32_t overflowed(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {};
	socklen_t size = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size))
		die("SO_MEMINFO");
	return info[SK_MEMINFO_DROPS];
}

static void report(struct port *ports, int count)
{
	for (int i = 0; i < count; i++)
		drain(&ports[i]);
	printf("{");
	for (int i = 0; i < count; i++)
		printf("%s\"%ld\":{\"got\":%llu,\"overflowed\":%u}", i ? "," : "", ports[i].number,
		       (unsigned long long)ports[i].got, overflowed(ports[i].fd));
	printf("}\n");
}

static void open_port(struct port *port, const char *number)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any };
	int room = 64 << 20, zero = 0, listener;

	port->number = parse_number(number, 1, 65535, "port");
	any.sin6_port = htons((uint16_t)port->number);
	port->seen = calloc(NUMBERS_MAX / 8, 1);
	port->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!port->seen || port->fd < 0)
		die("sink");
	setsockopt(port->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(port->fd, (struct sockaddr *)&any, sizeof(any)) ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 16))
		die("bind");
}

int sink_main(int argc, char **argv)
{
	struct pollfd wait[PORTS_MAX + 1] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	struct port ports[PORTS_MAX];
	int count = argc - 1;

	if (count < 1 || count > PORTS_MAX) {
		fprintf(stderr, "usage: margay-load sink PORT... (at most %d)\n", PORTS_MAX);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		open_port(&ports[i], argv[i + 1]);
		wait[i + 1] = (struct pollfd){ .fd = ports[i].fd, .events = POLLIN };
	}
	printf("ready\n");
	for (;;) {
		char line[64];

		poll(wait, (nfds_t)count + 1, -1);
		for (int i = 0; i < count; i++)
			if (wait[i + 1].revents)
				drain(&ports[i]);
		if (!wait[0].revents)
			continue;
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			return 0;
		report(ports, count);
	}
}
