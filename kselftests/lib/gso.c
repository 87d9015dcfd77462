// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/virtio_net.h>

#include "frame.h"
#include "gso.h"
#include "ktap.h"
#include "netdev.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define PORT 9	/* discard */
#define SEND_BYTES (64 << 20)
#define ALL_BYTES (GSO_SEGMENTS * GSO_SEGMENT)

struct head {
	struct iphdr ip;
	union {
		struct udphdr udp;
		struct tcphdr tcp;
	};
};

struct payload {
	u32 cookie;
	u32 number;	/* of the segment */
	u8 rest[GSO_SEGMENT - 8];
};

static size_t eth_len(const struct gso *g)
{
	return g->ether ? ETH_HLEN : 0;
}

static size_t l4_len(const struct gso *g)
{
	return g->kind == GSO_UDP ? sizeof(struct udphdr) :
				    sizeof(struct tcphdr);
}

static size_t sum_offset(const struct gso *g)
{
	return g->kind == GSO_UDP ? offsetof(struct udphdr, check) :
				    offsetof(struct tcphdr, check);
}

static u8 proto_of(const struct gso *g)
{
	return g->kind == GSO_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

static u8 type_of(const struct gso *g)
{
	return g->kind == GSO_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4 :
				    VIRTIO_NET_HDR_GSO_TCPV4;
}

static u32 sum_add(u32 sum, const void *data, size_t len)
{
	const u8 *at = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (u32)at[i] << 8 | at[i + 1];
	if (len & 1)
		sum += (u32)at[len - 1] << 8;
	return sum;
}

static u16 sum_fold(u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (u16)sum;
}

/* Of the addresses, the protocol and @len bytes of it: not folded. */
static u32 sum_pseudo(const struct iphdr *ip, size_t len)
{
	return sum_add(ip->protocol + (u32)len, &ip->saddr, 8);
}

static void fill_payload(struct payload *p, u32 cookie, u32 number)
{
	p->cookie = cookie;
	p->number = number;
	memset(p->rest, (int)(number & 0xff), sizeof(p->rest));
}

int gso_socket(const char *dev, struct sockaddr_ll *to)
{
	int one = 1, bytes = SEND_BYTES;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	*to = (struct sockaddr_ll) {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = netdev_index(dev),
	};
	if (fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		ktap_bail("packet socket: %s", strerror(errno));
	return fd;
}

size_t gso_build(void *buf, const struct gso *g)
{
	size_t eth = eth_len(g), l4 = l4_len(g);
	size_t l4_all = l4 + ALL_BYTES;
	struct virtio_net_hdr vnet = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = type_of(g),
		.hdr_len = (u16)(eth + sizeof(struct iphdr) + l4),
		.gso_size = GSO_SEGMENT,
		.csum_start = (u16)(eth + sizeof(struct iphdr)),
		.csum_offset = (u16)sum_offset(g),
	};
	struct head h = {
		.ip = {
			.version = 4,
			.ihl = 5,
			.tot_len = htons((u16)(sizeof(struct iphdr) + l4_all)),
			.frag_off = htons(0x4000),
			.ttl = 64,
			.protocol = proto_of(g),
			.saddr = htonl(FRAME_SRC4),
			.daddr = htonl(FRAME_DST4),
		},
	};
	struct ethhdr mac = {
		.h_dest = { 2, 0, 0, 0, 0, 2 },
		.h_source = { 2, 0, 0, 0, 0, 1 },
		.h_proto = htons(ETH_P_IP),
	};
	struct payload p;
	u8 *at = buf;
	u32 i;

	h.ip.check = htons((u16)~sum_fold(sum_add(0, &h.ip, sizeof(h.ip))));
	if (g->kind == GSO_UDP) {
		h.udp.source = htons(PORT);
		h.udp.dest = htons(PORT);
		h.udp.len = htons((u16)l4_all);
		h.udp.check = htons(sum_fold(sum_pseudo(&h.ip, l4_all)));
	} else {
		h.tcp.source = htons(PORT);
		h.tcp.dest = htons(PORT);
		h.tcp.seq = htonl((u32)(g->seq * ALL_BYTES));
		h.tcp.doff = sizeof(h.tcp) / 4;
		h.tcp.ack = 1;
		h.tcp.check = htons(sum_fold(sum_pseudo(&h.ip, l4_all)));
	}
	memcpy(at, &vnet, sizeof(vnet));
	at += sizeof(vnet);
	memcpy(at, &mac, eth);
	at += eth;
	memcpy(at, &h, sizeof(h.ip) + l4);
	at += sizeof(h.ip) + l4;
	for (i = 0; i < GSO_SEGMENTS; i++, at += sizeof(p)) {
		fill_payload(&p, g->cookie, (u32)g->seq * GSO_SEGMENTS + i);
		memcpy(at, &p, sizeof(p));
	}
	return (size_t)(at - (u8 *)buf);
}

/* Left to the receiver, the field has the sum of the pseudo header only. */
static bool sum_right(const struct virtio_net_hdr *vnet, const struct head *h,
		      const struct gso *g, const u8 *l4, size_t len)
{
	u32 pseudo = sum_pseudo(&h->ip, len);
	u16 field;

	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return sum_fold(sum_add(pseudo, l4, len)) == 0xffff;
	memcpy(&field, l4 + sum_offset(g), sizeof(field));
	return vnet->csum_start == eth_len(g) + sizeof(h->ip) &&
	       vnet->csum_offset == sum_offset(g) &&
	       ntohs(field) == sum_fold(pseudo);
}

/* Header and lengths; returns the number of segments, or 0. */
static unsigned int check_head(const struct gso *g, const u8 *buf, size_t len)
{
	size_t skip = sizeof(struct virtio_net_hdr) + eth_len(g);
	size_t l4 = l4_len(g), bytes;
	struct virtio_net_hdr vnet;
	struct head h;

	if (len < skip + sizeof(h.ip) + l4)
		return 0;
	bytes = len - skip - sizeof(h.ip) - l4;
	memcpy(&vnet, buf, sizeof(vnet));
	memcpy(&h, buf + skip, sizeof(h.ip) + l4);
	if (h.ip.version != 4 || h.ip.protocol != proto_of(g) ||
	    ntohs(h.ip.tot_len) != len - skip ||
	    sum_fold(sum_add(0, &h.ip, sizeof(h.ip))) != 0xffff ||
	    (g->kind == GSO_UDP && ntohs(h.udp.len) != l4 + bytes) ||
	    !sum_right(&vnet, &h, g, buf + skip + sizeof(h.ip), l4 + bytes))
		return 0;
	if (vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return bytes == GSO_SEGMENT;
	if (vnet.gso_type != type_of(g) || vnet.gso_size != GSO_SEGMENT ||
	    vnet.hdr_len < eth_len(g) + sizeof(h.ip) + l4)
		return 0;
	return bytes == ALL_BYTES ? GSO_SEGMENTS : 0;
}

void gso_enter(struct gso_tally *t, const struct gso *g, const void *buf,
	       size_t len)
{
	unsigned int i, n = check_head(g, buf, len);
	struct payload p, want;
	const u8 *at;

	if (!n) {
		t->broken++;
		return;
	}
	t->large += n > 1;
	at = (const u8 *)buf + len - n * sizeof(p);
	for (i = 0; i < n; i++, at += sizeof(p)) {
		memcpy(&p, at, sizeof(p));
		fill_payload(&want, g->cookie, p.number);
		if (memcmp(&p, &want, sizeof(p))) {
			t->broken++;
			continue;
		}
		t->segments++;
		if (p.number < t->next) {
			t->repeated++;
			continue;
		}
		t->missing += p.number - t->next;
		t->next = (u64)p.number + 1;
	}
}
