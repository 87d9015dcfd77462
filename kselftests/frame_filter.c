// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner of a tun or tap device has three ways to say that it does not want
 * a frame: a list of MAC addresses, a filter on its socket, an eBPF program.
 * Whatever holds the frames that the ring has no slot for, these are dropped,
 * counted, and stop nothing; without the filter all frames arrive again. The
 * filter on the socket may also ask for less of a frame than there is, and the
 * program for more, which is all of it. Where there are both, the socket's comes
 * first: the program sees what that has left of a frame. The list comes before
 * either.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>

#include "bpf.h"
#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "run.h"
#include "trim.h"

#define UNWANTED 3U

enum filter {
	FILTER_MAC, FILTER_SOCKET, FILTER_EBPF, FILTER_SHORTEN, FILTER_WHOLE,
	FILTER_BOTH, FILTER_MAC_SOCKET,
};

static const char * const filters[] = {
	"mac", "socket", "ebpf", "shorten", "whole", "both", "mac_socket", NULL,
};

static const char * const reasons[] = {
	"TAP_TXFILTER", "SOCKET_FILTER", "TAP_FILTER", "SOCKET_FILTER",
	"TAP_FILTER", "TAP_FILTER", "TAP_TXFILTER",
};

static bool by_program(enum filter filter)
{
	return filter == FILTER_EBPF || filter == FILTER_WHOLE;
}

static void must(int fd, unsigned long request, const void *arg)
{
	if (ioctl(fd, request, arg) < 0)
		ktap_bail("the filter: %s", strerror(errno));
}

/* One address, which is nobody's; with none of them the filter is off. */
static void filter_mac(int fd, bool on)
{
	static const u8 nobody[6] = { 0x02, 0x6e, 0x6f, 0x62, 0x6f, 0x64 };
	struct {
		struct tun_filter head;
		u8 addr[6];
	} list = { .head.count = on };

	memcpy(list.addr, nobody, sizeof(nobody));
	must(fd, TUNSETTXFILTER, &list);
}

/* Nothing of the frame, or all but its last bytes. */
static void filter_socket(int fd, bool on, bool shorten)
{
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog prog = {
		.len = ARRAY_SIZE(nothing),
		.filter = nothing,
	};

	if (on && shorten)
		trim_attach_socket(fd);
	else
		must(fd, on ? TUNATTACHFILTER : TUNDETACHFILTER, &prog);
}

/* Nothing of the frame, or as much as there is: ~0 as a length. */
static void filter_ebpf(int fd, bool on, bool whole)
{
	const struct bpf_insn prog[] = {
		BPF_SET(BPF_REG_0, whole ? -1 : 0),
		BPF_RETURN(),
	};
	const int none = -1;

	if (on)
		bpf_filter(fd, prog, ARRAY_SIZE(prog));
	else
		must(fd, TUNSETFILTEREBPF, &none);
}

/* Each takes as much off what it is given. */
static void filter_both(int fd, bool on)
{
	filter_socket(fd, on, true);
	if (on)
		trim_attach(fd);
	else
		filter_ebpf(fd, false, false);
}

static void set(enum filter filter, int fd, bool on)
{
	switch (filter) {
	case FILTER_MAC_SOCKET:
		filter_mac(fd, on);
		filter_socket(fd, on, false);
		break;
	case FILTER_MAC:
		filter_mac(fd, on);
		break;
	case FILTER_SOCKET:
	case FILTER_SHORTEN:
		filter_socket(fd, on, filter == FILTER_SHORTEN);
		break;
	case FILTER_EBPF:
	case FILTER_WHOLE:
		filter_ebpf(fd, on, filter == FILTER_WHOLE);
		break;
	case FILTER_BOTH:
		filter_both(fd, on);
		break;
	}
}

/* Nothing of any frame is wanted. */
static bool drops_all(enum filter filter)
{
	return filter == FILTER_MAC || filter == FILTER_SOCKET ||
	       filter == FILTER_EBPF || filter == FILTER_MAC_SOCKET;
}

/* As many as there are slots: the ring would be full of them. */
static void check_unwanted(struct run *x)
{
	unsigned int n = max(x->sc.len, UNWANTED), sent;
	struct netdev_stats before, after;
	u64 drops;

	netdev_stats(x->b.dev, &before);
	sent = sender_send_many(&x->s, n);
	netdev_stats(x->b.dev, &after);
	drops = drops_count();
	ktap_figure("filtered", (long long)drops, "frames");
	ktap_figure("accepted", sent, "frames");
	ktap_ok(drops == n && after.tx_dropped - before.tx_dropped == drops,
		"what is not wanted is dropped and counted: %llu and %llu of %u, %u accepted",
		drops, after.tx_dropped - before.tx_dropped, n, sent);
	ktap_ok(!bench_stopped(&x->b, &x->sc), "nothing is stopped");
	reader_start(&x->r);
}

/* Of each frame all but @less bytes of its tail. */
static void check_come(struct run *x, unsigned int less)
{
	unsigned int sent, got;

	x->s.frame.tail = TRIM_TAIL;
	x->out.tail = TRIM_TAIL - less;
	sent = sender_send_many(&x->s, x->sc.len);
	reader_start(&x->r);
	got = reader_take(&x->r, sent);
	ktap_figure("filtered", (long long)drops_count(), "frames");
	ktap_figure("accepted", sent, "frames");
	ktap_ok(sent == x->sc.len && got == sent && !drops_count(),
		"each frame comes: %u of %u", got, x->sc.len);
	ktap_ok(x->out.frames == sent && !x->out.foreign,
		"%u bytes shorter: %llu, %llu of another length", less,
		x->out.frames, x->out.foreign);
	tally_start(&x->out, scenario_ether(&x->sc), x->b.cookie);
	x->out.next = sent;
	x->out.tail = TRIM_TAIL;
}

/* With one slot left: who finds the ring full before it looks at the frame stops the queue. */
static void check_last_slot(struct run *x, enum filter filter)
{
	unsigned int len = x->sc.len, sent, got;
	u64 dropped = drops_count();

	sent = sender_send_many(&x->s, len - 1);
	set(filter, x->b.fd[0], true);
	sender_send_many(&x->s, UNWANTED);
	set(filter, x->b.fd[0], false);
	dropped = drops_count() - dropped;
	ktap_ok(dropped == UNWANTED && !bench_stopped(&x->b, &x->sc),
		"what is not wanted takes no slot, and stops nothing: %llu of %u dropped",
		dropped, UNWANTED);
	got = reader_take(&x->r, sent);
	ktap_ok(got == sent && sent == len - 1,
		"and what was there comes: %u of %u", got, len - 1);
}

static void check_wanted(struct run *x)
{
	unsigned int sent = sender_send_many(&x->s, x->sc.len);
	unsigned int got = reader_take(&x->r, sent);

	ktap_ok(sent == x->sc.len && got == sent && x->out.frames == sent,
		"without the filter all arrive, and only they: %u of %u, %llu in all",
		got, x->sc.len, x->out.frames);
	ktap_ok(!x->out.repeated, "each of them once");
}

int main(int argc, char **argv)
{
	enum filter filter = (enum filter)choice_take(&argc, argv, "filter",
						      filters, FILTER_EBPF);
	struct run x;
	bool last_slot;

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&x.sc))
		ktap_bail("tun and tap only");
	if (!by_program(filter) && x.sc.dev != DEV_TAP)
		ktap_bail("tap only: tun knows no filter but eBPF");
	if (!drops_all(filter) && !x.sc.len)
		ktap_bail("a ring that holds frames");
	last_slot = drops_all(filter) && x.sc.len;
	ktap_plan(last_slot ? 6 : 4);
	netns_enter();
	drops_start(reasons[filter]);
	run_open(&x, "filter0");

	set(filter, x.b.fd[0], true);
	if (filter == FILTER_SHORTEN)
		check_come(&x, TRIM_BYTES);
	else if (filter == FILTER_WHOLE)
		check_come(&x, 0);
	else if (filter == FILTER_BOTH)
		check_come(&x, 2 * TRIM_BYTES);
	else
		check_unwanted(&x);
	set(filter, x.b.fd[0], false);
	check_wanted(&x);
	if (last_slot)
		check_last_slot(&x, filter);

	run_close(&x);
	drops_stop();
	return ktap_status();
}
