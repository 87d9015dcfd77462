// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/if_ether.h>

#include "ktap.h"
#include "load.h"
#include "mcast.h"
#include "netdev.h"

#define PORT 5353
#define MAGIC 0x6b73366dU
#define BUFFER (4 << 20)
#define LOOK_MS 50
#define MLD2_REPORT 143
#define MLD1_REPORT 131

struct datagram {
	u32 magic;
	u32 sender;
	u32 seq;
	u8 rest[52];	/* to the size of a small message */
};

static struct sockaddr_in6 group_of(unsigned int nr, int ifindex)
{
	struct sockaddr_in6 to = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(PORT),
		.sin6_scope_id = (u32)ifindex,
	};
	u8 *at = to.sin6_addr.s6_addr;

	at[0] = 0xff;
	at[1] = nr % 2 ? 0x05 : 0x02;
	at[14] = 0x6b;
	at[15] = (u8)(nr % MCAST_GROUPS + 1);
	return to;
}

void mcast_datagram(struct mcast_tally *t, const void *buf, size_t len)
{
	struct datagram d;
	u8 *seen;

	if (len == sizeof(d))
		memcpy(&d, buf, sizeof(d));
	if (len != sizeof(d) || d.magic != MAGIC || d.sender >= MCAST_SENDERS ||
	    d.seq >= MCAST_EACH) {
		t->other++;
		return;
	}
	seen = &t->seen[d.sender][d.seq];
	if (*seen)
		t->repeated++;
	else
		shared_add(t->frames, 1);
	*seen = 1;
}

void mcast_frame(struct mcast_tally *t, bool ether, const void *buf, size_t len)
{
	const u8 *at = buf;
	size_t head = ether ? sizeof(struct ethhdr) : 0;
	size_t udp = head + sizeof(struct ip6_hdr) + sizeof(struct udphdr);
	struct ip6_hdr ip;

	if (len < udp) {
		t->other++;
		return;
	}
	memcpy(&ip, at + head, sizeof(ip));
	/* MLD comes behind a hop-by-hop header of 8 bytes, as long as UDP's. */
	if (ip.ip6_nxt == IPPROTO_UDP)
		mcast_datagram(t, at + udp, len - udp);
	else if (!ip.ip6_nxt && len > udp &&
		 (at[udp] == MLD2_REPORT || at[udp] == MLD1_REPORT))
		t->reports++;
	else
		t->other++;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		ktap_bail("socket option %d: %s", name, strerror(errno));
}

static int udp_socket(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		ktap_bail("socket: %s", strerror(errno));
	return fd;
}

void mcast_sender_open(struct mcast_sender *s, unsigned int nr, const char *dev,
		       unsigned int sndbuf, bool loop)
{
	struct timeval look = { .tv_usec = LOOK_MS * 1000 };

	memset(s, 0, sizeof(*s));
	s->nr = nr;
	s->ifindex = netdev_index(dev);
	s->fd = udp_socket();
	set(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, s->ifindex);
	set(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, loop);
	set(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
	if (sndbuf)
		set(s->fd, SOL_SOCKET, SO_SNDBUF, (int)sndbuf);
	if (setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &look, sizeof(look)))
		ktap_bail("SO_SNDTIMEO: %s", strerror(errno));
}

bool mcast_send(struct mcast_sender *s)
{
	struct datagram d = {
		.magic = MAGIC,
		.sender = s->nr,
		.seq = s->sent,
	};
	struct sockaddr_in6 to = group_of(s->sent, s->ifindex);

	if (sendto(s->fd, &d, sizeof(d), 0, (struct sockaddr *)&to,
		   sizeof(to)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			ktap_bail("sendto a group: %s", strerror(errno));
		shared_add(s->timeouts, 1);
		return false;
	}
	shared_add(s->sent, 1);
	return true;
}

void mcast_join(struct mcast_members *m, const char *dev)
{
	int ifindex = netdev_index(dev);
	struct ipv6_mreq mreq;
	unsigned int i;

	for (i = 0; i < MCAST_GROUPS; i++) {
		struct sockaddr_in6 at = group_of(i, ifindex);

		m->fd[i] = udp_socket();
		mreq.ipv6mr_multiaddr = at.sin6_addr;
		mreq.ipv6mr_interface = (unsigned int)ifindex;
		set(m->fd[i], SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
		if (setsockopt(m->fd[i], IPPROTO_IPV6, IPV6_JOIN_GROUP, &mreq,
			       sizeof(mreq)) ||
		    bind(m->fd[i], (struct sockaddr *)&at, sizeof(at)))
			ktap_bail("join: %s", strerror(errno));
	}
}

static void *receive_all(void *arg)
{
	struct mcast_members *m = arg;
	struct pollfd pfd[MCAST_GROUPS];
	unsigned int i;
	u8 buf[256];
	ssize_t len;

	for (i = 0; i < MCAST_GROUPS; i++)
		pfd[i] = (struct pollfd) { m->fd[i], POLLIN, 0 };
	while (!shared_get(m->stop)) {
		if (poll(pfd, MCAST_GROUPS, LOOK_MS) < 1)
			continue;
		for (i = 0; i < MCAST_GROUPS; i++)
			while (pfd[i].revents) {
				len = recv(m->fd[i], buf, sizeof(buf),
					   MSG_DONTWAIT);
				if (len < 0)
					break;
				mcast_datagram(&m->tally, buf, (size_t)len);
			}
	}
	return NULL;
}

void mcast_receive_start(struct mcast_members *m)
{
	m->stop = false;
	if (pthread_create(&m->thread, NULL, receive_all, m))
		ktap_bail("no thread");
}

void mcast_receive_end(struct mcast_members *m)
{
	unsigned int i;

	shared_set(m->stop, true);
	pthread_join(m->thread, NULL);
	for (i = 0; i < MCAST_GROUPS; i++)
		close(m->fd[i]);
}
