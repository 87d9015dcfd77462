// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>

#include "ktap.h"
#include "qdisc.h"
#include "scenario.h"

#define MAX_EXTRA 16

static const char * const dev_names[DEV_KINDS] = {
	[DEV_TUN] = "tun",
	[DEV_TAP] = "tap",
	[DEV_MACVTAP] = "macvtap",
	[DEV_IPVTAP] = "ipvtap",
};

enum option_id {
	OPT_DEV = 256,
	OPT_READER,
	OPT_QDISC,
	OPT_LEN,
	OPT_STALL_MS,
	OPT_QUEUES,
	OPT_SEED,
	OPT_EXTRA,
};

static const struct option common[] = {
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "reader", required_argument, NULL, OPT_READER },
	{ "qdisc", required_argument, NULL, OPT_QDISC },
	{ "len", required_argument, NULL, OPT_LEN },
	{ "stall-ms", required_argument, NULL, OPT_STALL_MS },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "seed", required_argument, NULL, OPT_SEED },
};

#define N_COMMON ARRAY_SIZE(common)

static void __noreturn print_usage(const char *prog,
				   const struct scenario_option *extra,
				   unsigned int n_extra)
{
	fprintf(stderr,
		"usage: %s [--dev tun|tap|macvtap|ipvtap]\n"
		"  [--reader read|poll|readv|vhost|epoll|iouring] [--qdisc KIND|default]\n"
		"  [--len N] [--stall-ms N] [--queues N] [--seed N]\n", prog);
	for (; n_extra; n_extra--, extra++)
		fprintf(stderr, "  [--%s N] %s\n", extra->name, extra->help);
	ktap_bail("usage");
}

static unsigned int parse_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (!*text || *end || value > 0xffffffffUL)
		ktap_bail("%s is not a number", text);
	return (unsigned int)value;
}

static enum dev_kind dev_of(const char *name)
{
	int i;

	for (i = 0; i < DEV_KINDS; i++)
		if (!strcmp(dev_names[i], name))
			return (enum dev_kind)i;
	ktap_bail("no device kind %s", name);
}

static enum reader_kind reader_of(const char *name)
{
	int kind = reader_kind_of(name);

	if (kind < 0)
		ktap_bail("no reader %s", name);
	return (enum reader_kind)kind;
}

static const char *qdisc_of(const char *name)
{
	if (!qdisc_known(name) && strcmp(name, QDISC_DEFAULT))
		ktap_bail("no qdisc %s", name);
	return name;
}

static void set_common(struct scenario *sc, int id, const char *arg)
{
	switch (id) {
	case OPT_DEV:
		sc->dev = dev_of(arg);
		break;
	case OPT_READER:
		sc->reader = reader_of(arg);
		break;
	case OPT_QDISC:
		sc->qdisc = qdisc_of(arg);
		break;
	case OPT_LEN:
		sc->len = parse_number(arg);
		break;
	case OPT_STALL_MS:
		sc->stall_ms = parse_number(arg);
		break;
	case OPT_QUEUES:
		sc->queues = parse_number(arg);
		break;
	case OPT_SEED:
		sc->seed = parse_number(arg);
		break;
	}
}

void scenario_defaults(struct scenario *sc)
{
	*sc = (struct scenario) {
		.dev = DEV_TAP,
		.reader = READER_READ,
		.qdisc = "fq_codel",
		.len = 64,
		.stall_ms = 2000,
		.queues = 1,
		.seed = 1,
	};
}

void scenario_options(struct scenario *sc, int argc, char **argv,
		      const struct scenario_option *extra, unsigned int n_extra)
{
	struct option all[N_COMMON + MAX_EXTRA + 1] = {};
	unsigned int i;
	int id;

	setvbuf(stdout, NULL, _IOLBF, 0);
	memcpy(all, common, sizeof(common));
	for (i = 0; i < n_extra && i < MAX_EXTRA; i++)
		all[N_COMMON + i] = (struct option) {
			extra[i].name, required_argument, NULL,
			OPT_EXTRA + (int)i
		};
	while ((id = getopt_long(argc, argv, "", all, NULL)) >= 0) {
		if (id < OPT_DEV)
			print_usage(argv[0], extra, n_extra);
		else if (id >= OPT_EXTRA)
			*extra[id - OPT_EXTRA].value = parse_number(optarg);
		else
			set_common(sc, id, optarg);
	}
	if (optind < argc || !sc->queues || sc->queues > BENCH_QUEUES)
		print_usage(argv[0], extra, n_extra);
}

void scenario_parse(struct scenario *sc, int argc, char **argv,
		    const struct scenario_option *extra, unsigned int n_extra)
{
	scenario_defaults(sc);
	scenario_options(sc, argc, argv, extra, n_extra);
}

const char *scenario_dev_name(enum dev_kind dev)
{
	return dev_names[dev];
}

bool scenario_ether(const struct scenario *sc)
{
	return sc->dev != DEV_TUN;
}

unsigned int scenario_tuntap(const struct scenario *sc)
{
	return sc->dev == DEV_TUN ? IFF_TUN : IFF_TAP;
}

void scenario_need_one_queue(const struct scenario *sc)
{
	if (sc->queues != 1)
		ktap_bail("one queue only");
}

bool scenario_owns_queue(const struct scenario *sc)
{
	return sc->dev == DEV_TUN || sc->dev == DEV_TAP;
}

/* 0xa000 to 0xafff: nothing there that the kernel knows, or looks into. */
u16 scenario_protocol(const struct scenario *sc)
{
	/* A veth reads it from the frame. */
	if (!sc->own_protocol || !scenario_owns_queue(sc))
		return ETH_P_IP;
	return (u16)(0xa000 | (getpid() & 0xfff));
}
