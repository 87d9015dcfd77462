// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "feeder.h"
#include "ktap.h"
#include "load.h"
#include "netdev.h"
#include "stall.h"
#include "task.h"

#define FDS_MOST 64
#define TICK_NS (NSEC_PER_MSEC / 2)

const char * const feeder_vias[] = { "packet", "udp", NULL };

/* Nobody answers ARP behind a tap. */
static int udp_socket(u16 port)
{
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(FRAME_SRC4),
		.sin_port = htons(port),
	}, to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(FRAME_DST4),
		.sin_port = htons(9),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		ktap_bail("UDP socket: %s", strerror(errno));
	return fd;
}

void feeder_open(struct feeder *f, const struct bench *b,
		 const struct scenario *sc, enum feeder_via via)
{
	int least = 1;

	memset(f, 0, sizeof(*f));
	f->via = via;
	bench_sender(b, sc, &f->packet, false);
	f->fd = f->packet.fd;
	if (via == VIA_UDP) {
		netdev_addr4(b->dev, htonl(FRAME_SRC4), 30);
		if (scenario_ether(sc))
			netdev_neigh4(b->dev, htonl(FRAME_DST4),
				      f->packet.frame.dst_mac);
		sender_close(&f->packet);
		f->fd = udp_socket(f->packet.frame.port);
	}
	if (setsockopt(f->fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)))
		ktap_bail("SO_SNDBUF: %s", strerror(errno));
	f->st = mmap(NULL, sizeof(*f->st), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->st == MAP_FAILED)
		ktap_bail("mmap: %s", strerror(errno));
}

void feeder_port(struct feeder *f, u16 port)
{
	f->packet.frame.port = port;
	if (f->via == VIA_UDP)
		ktap_bail("the port of a UDP feeder is bound");
}

int feeder_send(struct feeder *f, int flags)
{
	struct sender *s = &f->packet;
	char buf[FRAME_MAX];
	size_t len = frame_build(buf, &s->frame);
	ssize_t ret;

	if (f->via == VIA_UDP)
		ret = send(f->fd, buf + len - FRAME_PAYLOAD,
			   FRAME_PAYLOAD, flags);
	else
		ret = sendto(f->fd, buf, len, flags, (struct sockaddr *)&s->to,
			     sizeof(s->to));
	if (ret < 0)
		return errno;
	s->frame.seq++;
	shared_add(f->st->sent, 1);
	return 0;
}

static void __noreturn child(struct feeder *f, u64 n, enum feeder_mode mode)
{
	struct pollfd pfd = { .fd = f->fd, .events = POLLOUT };
	struct feeder_state *st = f->st;
	int err, fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The device's files are the parent's: it may want to close one. */
	for (fd = STDERR_FILENO + 1; fd < FDS_MOST; fd++)
		if (fd != f->fd)
			close(fd);
	task_interrupt_by(SIGUSR1);
	while (n) {
		shared_set(st->inside, true);
		err = feeder_send(f, mode == FEED_POLL ? MSG_DONTWAIT : 0);
		if (err == EAGAIN && mode == FEED_POLL) {
			shared_add(st->again, 1);
			if (poll(&pfd, 1, -1) == 1)
				continue;
			err = errno;
		}
		shared_set(st->inside, false);
		if (err && err != ENOBUFS) {
			shared_set(st->error, err);
			break;
		}
		if (err)
			shared_add(st->refused, 1);
		n--;
	}
	_exit(0);
}

void feeder_start(struct feeder *f, u64 n, enum feeder_mode mode)
{
	f->pid = fork();
	if (f->pid < 0)
		ktap_bail("fork: %s", strerror(errno));
	if (!f->pid)
		child(f, n, mode);
}

bool feeder_blocks(struct feeder *f, unsigned int stall_ms)
{
	struct stall st;
	char state;

	stall_start(&st, stall_ms);
	do {
		state = task_state(f->pid);
		if (state == 'Z')
			return false;
		/* One that sleeps is woken when half of its buffer is free. */
		if (state == 'S' && shared_get(f->st->inside) &&
		    !feeder_writable(f))
			return true;
		stall_note(&st, shared_get(f->st->sent));
		stall_nap(TICK_NS);
	} while (!stall_over(&st));
	ktap_bail("the sender neither sleeps nor ends: state %c, %llu sent",
		  state, (unsigned long long)shared_get(f->st->sent));
}

bool feeder_ends(struct feeder *f, unsigned int stall_ms)
{
	struct stall st;
	int status;

	stall_start(&st, stall_ms);
	while (f->pid && !stall_over(&st)) {
		if (waitpid(f->pid, &status, WNOHANG) == f->pid)
			f->pid = 0;
		else
			stall_nap(TICK_NS);
		stall_note(&st, shared_get(f->st->sent));
	}
	/* What this process may send from now on comes after that. */
	f->packet.frame.seq = f->st->sent;
	return !f->pid;
}

void feeder_signal(struct feeder *f, int sig)
{
	if (kill(f->pid, sig))
		ktap_bail("kill: %s", strerror(errno));
}

bool feeder_writable(const struct feeder *f)
{
	struct pollfd pfd = { .fd = f->fd, .events = POLLOUT };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT);
}

void feeder_let_go(struct feeder *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

void feeder_close(struct feeder *f)
{
	if (f->pid) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
		f->pid = 0;
	}
	feeder_let_go(f);
	munmap(f->st, sizeof(*f->st));
}
