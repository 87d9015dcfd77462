// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ktap.h"
#include "load.h"
#include "streams.h"

#define PORT 5001
#define CHUNK 16384
/* Prime, so that no power of two brings the same content back. */
#define PERIOD 65521
/* From stream to stream the content is shifted by this. */
#define SHIFT 3001
#define LOOK_MS 50

static u8 content[PERIOD + CHUNK];

static const u8 *content_at(unsigned int stream, u64 offset)
{
	return content + (offset + stream * SHIFT) % PERIOD;
}

static void content_make(void)
{
	u32 rnd = rnd_start(1, 1);
	size_t i;

	for (i = 0; i < PERIOD; i++)
		content[i] = (u8)(rnd_next(&rnd) >> 16);
	memcpy(content + PERIOD, content, CHUNK);
}

static struct sockaddr_in address(u32 addr)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(addr),
	};
}

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		ktap_bail("socket: %s", strerror(errno));
	return fd;
}

void streams_listen(struct streams *st, u32 addr)
{
	struct sockaddr_in at = address(addr);

	content_make();
	st->listener = tcp_socket();
	if (bind(st->listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(st->listener, STREAMS_MAX))
		ktap_bail("listen: %s", strerror(errno));
}

static void accept_one(struct streams *st)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	int fd = accept4(st->listener, (struct sockaddr *)&from, &size,
			 SOCK_CLOEXEC);
	unsigned int i;

	if (fd < 0)
		return;
	for (i = 0; i < st->n; i++)
		if (st->one[i].port == ntohs(from.sin_port))
			st->one[i].to = fd;
}

static u64 least_received(const struct streams *st)
{
	u64 least = st->bytes;
	unsigned int i;

	for (i = 0; i < st->n; i++)
		least = min(least, st->one[i].received);
	return least;
}

static void receive_one(struct streams *st, unsigned int nr)
{
	struct stream *s = &st->one[nr];
	u8 buf[CHUNK];
	ssize_t len = recv(s->to, buf, sizeof(buf), MSG_DONTWAIT);

	if (len <= 0)
		return;
	s->wrong |= memcmp(buf, content_at(nr, s->received), (size_t)len);
	shared_add(s->received, (u64)len);
	if (s->received < st->bytes)
		return;
	if (!st->n_done)
		st->first_done_least = least_received(st);
	s->done = true;
	shared_add(st->n_done, 1);
	/* The sender waits for that. */
	shutdown(s->to, SHUT_WR);
}

static void *receive_all(void *arg)
{
	struct streams *st = arg;
	struct pollfd pfd[STREAMS_MAX + 1];
	unsigned int i;

	while (!shared_get(st->stop)) {
		pfd[st->n] = (struct pollfd) { st->listener, POLLIN, 0 };
		/* -1, which poll() passes over, before it is there and after. */
		for (i = 0; i < st->n; i++)
			pfd[i] = (struct pollfd) {
				st->one[i].done ? -1 : st->one[i].to, POLLIN, 0
			};
		if (poll(pfd, st->n + 1, LOOK_MS) < 1)
			continue;
		if (pfd[st->n].revents)
			accept_one(st);
		for (i = 0; i < st->n; i++)
			if (pfd[i].revents)
				receive_one(st, i);
	}
	return NULL;
}

/* The socket's timeout brings it back here now and then. */
static void send_bytes(struct stream *s, unsigned int nr)
{
	struct streams *st = s->all;
	ssize_t len;

	while (s->sent < st->bytes && !shared_get(st->stop)) {
		len = send(s->from, content_at(nr, s->sent),
			   min_t(u64, CHUNK, st->bytes - s->sent), MSG_NOSIGNAL);
		if (len > 0)
			shared_add(s->sent, (u64)len);
		else if (errno != EAGAIN && errno != EINTR && errno != ENOTCONN &&
			 errno != EINPROGRESS)
			return;
	}
	shutdown(s->from, SHUT_WR);
	while (!shared_get(st->stop) && recv(s->from, &(char){ 0 }, 1, 0) < 0 &&
	       (errno == EAGAIN || errno == EINTR))
		;
}

static void *send_one(void *arg)
{
	struct stream *s = arg;
	struct tcp_info info = {};
	socklen_t size = sizeof(info);

	send_bytes(s, (unsigned int)(s - s->all->one));
	if (!getsockopt(s->from, IPPROTO_TCP, TCP_INFO, &info, &size))
		s->retransmits = info.tcpi_total_retrans;
	return NULL;
}

static void connect_one(struct streams *st, unsigned int nr, u32 addr)
{
	struct timeval look = { .tv_usec = LOOK_MS * 1000 };
	struct sockaddr_in at = address(addr), self = {
		.sin_family = AF_INET,
	};
	struct stream *s = &st->one[nr];
	socklen_t size = sizeof(self);

	s->all = st;
	s->to = -1;
	s->from = tcp_socket();
	/* Bound first: the receiver may accept before connect() returns. */
	if (bind(s->from, (struct sockaddr *)&self, size) ||
	    getsockname(s->from, (struct sockaddr *)&self, &size) ||
	    setsockopt(s->from, SOL_SOCKET, SO_PRIORITY, &st->priority,
		       sizeof(st->priority)) ||
	    setsockopt(s->from, SOL_SOCKET, SO_SNDTIMEO, &look, sizeof(look)) ||
	    setsockopt(s->from, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof(look)))
		ktap_bail("socket: %s", strerror(errno));
	s->port = ntohs(self.sin_port);
	/* send() goes on where this has left off. */
	if (connect(s->from, (struct sockaddr *)&at, sizeof(at)) &&
	    errno != EINPROGRESS)
		ktap_bail("connect: %s", strerror(errno));
}

void streams_start(struct streams *st, u32 addr)
{
	unsigned int i;

	for (i = 0; i < st->n; i++)
		st->one[i].to = -1;
	if (pthread_create(&st->receiver, NULL, receive_all, st))
		ktap_bail("no thread");
	for (i = 0; i < st->n; i++) {
		connect_one(st, i, addr);
		if (pthread_create(&st->one[i].thread, NULL, send_one, &st->one[i]))
			ktap_bail("no thread");
	}
}

u64 streams_received(const struct streams *st)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < st->n; i++)
		sum += shared_get(st->one[i].received);
	return sum;
}

bool streams_done(const struct streams *st)
{
	return shared_get(st->n_done) == st->n;
}

void streams_end(struct streams *st)
{
	unsigned int i;

	shared_set(st->stop, true);
	for (i = 0; i < st->n; i++)
		pthread_join(st->one[i].thread, NULL);
	pthread_join(st->receiver, NULL);
	for (i = 0; i < st->n; i++) {
		close(st->one[i].from);
		if (st->one[i].to >= 0)
			close(st->one[i].to);
	}
	close(st->listener);
}

u64 streams_retransmits(const struct streams *st)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < st->n; i++)
		sum += st->one[i].retransmits;
	return sum;
}

unsigned int streams_wrong(const struct streams *st)
{
	unsigned int i, n = 0;

	for (i = 0; i < st->n; i++)
		n += st->one[i].wrong;
	return n;
}
