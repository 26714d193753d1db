/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything at once towards one peer, each packet accounted for: datagrams that are echoed, datagrams that nobody answers
 * (policy is asked about each), datagrams that policy denies, TCP connections that stay, and TCP connections that are made
 * and closed all the time, to an allowed port and to a denied one. Reports on SIGTERM, as one line of JSON. The peer
 * runs serve on the first port and sink on the other two.
 */
#include "load.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS 16
#define CONNECTIONS_MAX 1024
#define NUMBERS_MAX (1u << 28)
#define TICK_NS 1000000ull
/* Each connection asks ten times a second; a new one of each kind is made this often. */
#define ASK_TICKS 100
#define FRESH_TICKS 50
/* After the last packet: what takes longer than this is lost. */
#define GRACE_NS 3000000000ull

enum kind { ECHOED, ONE_WAY, DENIED, KINDS };

static volatile sig_atomic_t stopped;

static void on_term(int number)
{
	(void)number;
	stopped = 1;
}

struct datagrams {
	int fds[SOCKETS];
	uint64_t sent, errors;
};

struct connection {
	int fd;
	uint64_t asked, answered;
	int broken;
};

static struct {
	struct datagrams kinds[KINDS];
	uint8_t *seen;
	uint64_t echoes, wrong_echoes;
	struct connection connections[CONNECTIONS_MAX];
	int count;
	/* One attempt at a time, to the allowed port [0] and the denied one [1]. */
	struct { int fd; uint64_t since, tried, opened, refused; } fresh[2];
	uint64_t retransmitted;
	struct sockaddr_storage to[KINDS];
	socklen_t size;
} storm;

static int open_datagram(enum kind kind)
{
	int room = 64 << 20;
	int fd = socket(storm.to[kind].ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&storm.to[kind], storm.size))
		die("datagram socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

/* What goes wrong here never reached the kernel's network: tried again with the next packet. */
static void send_one(enum kind kind)
{
	struct datagrams *all = &storm.kinds[kind];
	int fd = all->fds[all->sent % SOCKETS];

	if (all->sent == NUMBERS_MAX)
		return;
	if (send(fd, &all->sent, sizeof(all->sent), 0) == (ssize_t)sizeof(all->sent))
		all->sent++;
	else
		all->errors++;
}

static void drain_echoes(void)
{
	uint64_t number;

	for (int i = 0; i < SOCKETS; i++) {
		while (recv(storm.kinds[ECHOED].fds[i], &number, sizeof(number), 0) == (ssize_t)sizeof(number)) {
			if (number >= storm.kinds[ECHOED].sent || storm.seen[number / 8] & 1 << number % 8) {
				storm.wrong_echoes++;
				continue;
			}
			storm.seen[number / 8] |= (uint8_t)(1 << number % 8);
			storm.echoes++;
		}
	}
}

static uint32_t retransmitted(int fd)
{
	struct tcp_info info = {};
	socklen_t size = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) ? 0 : info.tcpi_total_retrans;
}

static void ask(struct connection *one)
{
	if (one->broken || one->asked != one->answered)
		return;
	one->asked++;
	if (send(one->fd, &one->asked, sizeof(one->asked), 0) != (ssize_t)sizeof(one->asked))
		one->broken = errno ? errno : EIO;
}

static void take_answer(struct connection *one)
{
	uint64_t number = 0;
	ssize_t got;

	if (one->broken)
		return;
	got = recv(one->fd, &number, sizeof(number), MSG_DONTWAIT);
	if (got == (ssize_t)sizeof(number) && number == one->asked)
		one->answered = number;
	else if (got >= 0 || errno != EAGAIN)
		one->broken = got < 0 ? errno : EPROTO;
}

static void connect_all(int count)
{
	int one = 1;

	for (storm.count = 0; storm.count < count; storm.count++) {
		int fd = socket(storm.to[ECHOED].ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&storm.to[ECHOED], storm.size))
			die("connect");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		storm.connections[storm.count].fd = fd;
	}
}

static int is_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);

	return !getpeername(fd, (struct sockaddr *)&peer, &size);
}

/* Ends the attempt under way, if its time has come, and begins the next. */
static void renew(int denied, uint64_t now)
{
	const struct sockaddr *to = (struct sockaddr *)&storm.to[denied ? DENIED : ECHOED];
	typeof(storm.fresh[0]) *fresh = &storm.fresh[denied];
	int error = 0, open = fresh->fd > 0 && is_connected(fresh->fd);
	socklen_t size = sizeof(error);

	if (fresh->fd > 0 && !open && !denied) {
		getsockopt(fresh->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (!error && now - fresh->since < GRACE_NS)
			return;
	}
	if (fresh->fd > 0) {
		fresh->opened += (uint64_t)open;
		fresh->refused += (uint64_t)!open;
		storm.retransmitted += open ? retransmitted(fresh->fd) : 0;
		close(fresh->fd);
	}
	fresh->fd = stopped ? 0 : socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fresh->fd <= 0)
		return;
	fresh->since = now;
	fresh->tried++;
	if (connect(fresh->fd, to, storm.size) && errno != EINPROGRESS)
		die("connect");
}

static void take_answers(void)
{
	drain_echoes();
	for (int i = 0; i < storm.count; i++)
		if (storm.connections[i].asked != storm.connections[i].answered)
			take_answer(&storm.connections[i]);
}

/* Two of five packets are echoed, two go one way, one is denied. */
static void run(uint64_t rate)
{
	static const enum kind order[] = { ECHOED, ONE_WAY, ECHOED, ONE_WAY, DENIED };
	uint64_t started = now_ns(), done = 0, ticks = 0;

	while (!stopped) {
		uint64_t now = now_ns(), due = (now - started) * rate / 1000000000ull;

		/* After a pause of this process nothing is made up for: that would be a burst, not a rate. */
		if (due > done + rate / 10) {
			started += (due - done) * 1000000000ull / rate;
			due = done;
		}
		for (; done < due; done++)
			send_one(order[done % 5]);
		take_answers();
		for (int i = (int)(ticks % ASK_TICKS); i < storm.count; i += ASK_TICKS)
			ask(&storm.connections[i]);
		if (ticks++ % FRESH_TICKS == 0)
			for (int denied = 0; denied < 2; denied++)
				renew(denied, now);
		now = now_ns() % TICK_NS;
		nanosleep(&(struct timespec){ .tv_nsec = (long)(TICK_NS - now) }, NULL);
	}
}

static int all_answered(void)
{
	for (int i = 0; i < storm.count; i++)
		if (!storm.connections[i].broken && storm.connections[i].asked != storm.connections[i].answered)
			return 0;
	return storm.echoes == storm.kinds[ECHOED].sent;
}

static void report(double seconds)
{
	uint64_t sent = 0, errors = 0, overflowed = 0;
	int broken = 0, stuck = 0;
	uint32_t info[SK_MEMINFO_VARS] = {};
	socklen_t size = sizeof(info);

	for (int kind = 0; kind < KINDS; kind++) {
		sent += storm.kinds[kind].sent;
		errors += storm.kinds[kind].errors;
	}
	for (int i = 0; i < SOCKETS; i++)
		if (!getsockopt(storm.kinds[ECHOED].fds[i], SOL_SOCKET, SO_MEMINFO, info, &size))
			overflowed += info[SK_MEMINFO_DROPS];
	for (int i = 0; i < storm.count; i++) {
		broken += !!storm.connections[i].broken;
		stuck += !storm.connections[i].broken && storm.connections[i].asked != storm.connections[i].answered;
		storm.retransmitted += retransmitted(storm.connections[i].fd);
	}
	printf("{\"echoed\":{\"sent\":%llu,\"got\":%llu,\"wrong\":%llu,\"overflowed\":%llu},\"oneWay\":%llu,\"denied\":%llu,",
	       (unsigned long long)storm.kinds[ECHOED].sent, (unsigned long long)storm.echoes,
	       (unsigned long long)storm.wrong_echoes, (unsigned long long)overflowed,
	       (unsigned long long)storm.kinds[ONE_WAY].sent, (unsigned long long)storm.kinds[DENIED].sent);
	printf("\"packetsPerSecond\":%.0f,\"sendErrors\":%llu,\"connections\":%d,\"broken\":%d,\"stuck\":%d,\"retransmitted\":%llu,",
	       (double)sent / seconds, (unsigned long long)errors, storm.count, broken, stuck,
	       (unsigned long long)storm.retransmitted);
	printf("\"fresh\":{\"opened\":%llu,\"refused\":%llu},\"deniedFresh\":{\"opened\":%llu,\"refused\":%llu},\"seconds\":%.1f}\n",
	       (unsigned long long)storm.fresh[0].opened, (unsigned long long)storm.fresh[0].refused,
	       (unsigned long long)storm.fresh[1].opened, (unsigned long long)storm.fresh[1].refused, seconds);
}

int storm_main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr, "usage: margay-load storm ADDRESS PORT ONE_WAY_PORT DENIED_PORT PACKETS_PER_S CONNECTIONS\n");
		return 1;
	}
	for (int kind = 0; kind < KINDS; kind++)
		storm.size = parse_address(argv[1], (int)parse_number(argv[2 + kind], 1, 65535, "port"), &storm.to[kind]);
	uint64_t rate = (uint64_t)parse_number(argv[5], 100, 1000000, "packets per second");

	storm.seen = calloc(NUMBERS_MAX / 8, 1);
	if (!storm.seen)
		die("storm");
	signal(SIGTERM, on_term);
	for (int kind = 0; kind < KINDS; kind++)
		for (int i = 0; i < SOCKETS; i++)
			storm.kinds[kind].fds[i] = open_datagram((enum kind)kind);
	connect_all((int)parse_number(argv[6], 0, CONNECTIONS_MAX, "connections"));
	uint64_t started = now_ns();

	printf("started\n");
	run(rate);
	uint64_t ended = now_ns();

	while (!all_answered() && now_ns() - ended < GRACE_NS) {
		take_answers();
		poll(NULL, 0, 5);
	}
	while (storm.fresh[0].fd > 0) {
		renew(0, now_ns());
		poll(NULL, 0, 5);
	}
	renew(1, now_ns());
	report((double)(ended - started) / 1e9);
	return 0;
}
