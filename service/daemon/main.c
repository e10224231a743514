/*
 * memsnapd: the service as a program.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One thread runs the loop; signals that end the program let calls end first,
 * a second one does not wait for them.
 */
#include "base/error.h"
#include "base/fd.h"
#include "daemon/listen.h"
#include "daemon/service.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* Addresses of one service. */
#define LISTEN_MAX 16

/* How long calls have to end after a signal. */
#define DRAIN_MS 10000

struct daemon {
	struct msn_loop *loop;
	struct msn_service *service;
	struct msn_address listen[LISTEN_MAX];
	size_t listen_count;
	size_t bound; /* of them: ours to take away again */
	bool draining;
};

static void usage(FILE *to)
{
	fputs("usage: memsnapd --listen ADDRESS...\n"
	      "\n"
	      "  --listen ADDRESS  unix:/path, tcp:127.0.0.1:PORT or "
	      "tcp:[::1]:PORT\n"
	      "  --version         say which release this is\n"
	      "  --help            say this\n",
	      to);
}

static int fail(const struct msn_failure *why)
{
	fprintf(stderr, "memsnapd: %s\n", why->text);
	return 1;
}

/* ---- Arguments ----------------------------------------------------------- */

static int add_address(struct daemon *d, const char *text,
		       struct msn_failure *why)
{
	if (d->listen_count == LISTEN_MAX)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "more than %d addresses", LISTEN_MAX);
	return msn_address_parse(text, &d->listen[d->listen_count++], why);
}

/* 0 to go on, 1 to end well, or a negated errno. */
static int take_arguments(struct daemon *d, int argc, char **argv,
			  struct msn_failure *why)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, rc = 0;

	opterr = 0;
	while (!rc &&
	       (option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == 'l') {
			rc = add_address(d, optarg, why);
		} else if (option == 'V') {
			puts("memsnapd " MSN_VERSION);
			return 1;
		} else if (option == 'h') {
			usage(stdout);
			return 1;
		} else {
			return msn_failure_set(
				why, -EINVAL, MSN_FAILURE_INVALID,
				option == ':' ? "%s needs a value"
					      : "there is no option %s",
				argv[optind - 1]);
		}
	}
	if (!rc && optind < argc)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "what is %s?", argv[optind]);
	return rc;
}

/* ---- Listening ----------------------------------------------------------- */

static int add_listener(struct daemon *d, int fd, enum msn_transport transport,
			struct msn_failure *why)
{
	return msn_server_listen(
		msn_service_server(d->service),
		&(struct msn_listen_opts){ .fd = fd, .transport = transport },
		why);
}

/* Sockets that a manager made: of systemd's socket activation. */
static int take_activated(struct daemon *d, size_t *count,
			  struct msn_failure *why)
{
	int n = sd_listen_fds(1), rc = 0;

	*count = n > 0 ? (size_t)n : 0;
	for (int i = 0; !rc && i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		bool local = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0;

		rc = add_listener(
			d, fd, local ? MSN_TRANSPORT_UNIX : MSN_TRANSPORT_TCP,
			why);
	}
	return rc;
}

static int listen_on(struct daemon *d, const struct msn_address *a,
		     struct msn_failure *why)
{
	char text[160];
	int fd, rc = msn_address_listen(a, 0660, &fd, why);

	if (rc)
		return rc;
	d->bound++;
	msn_address_format(a, fd, text, sizeof(text));
	rc = add_listener(d, fd, a->transport, why);
	if (!rc)
		fprintf(stderr, "memsnapd: listening on %s\n", text);
	return rc;
}

static int listen_all(struct daemon *d, struct msn_failure *why)
{
	size_t activated;
	int rc = take_activated(d, &activated, why);

	if (!rc && !activated && !d->listen_count)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "nothing to listen on: give --listen");
	while (!rc && d->bound < d->listen_count)
		rc = listen_on(d, &d->listen[d->bound], why);
	return rc;
}

/* ---- Signals ------------------------------------------------------------- */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si,
		     void *ctx)
{
	struct daemon *d = ctx;

	(void)source;
	(void)si;
	if (d->draining) {
		msn_loop_exit(d->loop, 0);
		return 0;
	}
	d->draining = true;
	sd_notify(0, "STOPPING=1");
	msn_service_drain(d->service, DRAIN_MS);
	return 0;
}

static int watch_signals(struct daemon *d)
{
	sd_event *event = msn_loop_event(d->loop);
	sigset_t set;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	rc = sd_event_add_signal(event, NULL, SIGTERM, on_signal, d);
	if (rc >= 0)
		rc = sd_event_add_signal(event, NULL, SIGINT, on_signal, d);
	if (rc >= 0)
		rc = sd_event_set_watchdog(event, true);
	return rc < 0 ? msn_fail(rc) : 0;
}

/* ---- The program --------------------------------------------------------- */

static int start(struct daemon *d, struct msn_failure *why)
{
	struct msn_service_opts opts = { .version = MSN_VERSION };
	int rc = msn_loop_new(&d->loop);

	if (!rc)
		rc = watch_signals(d);
	opts.loop = d->loop;
	if (!rc)
		rc = msn_service_new(&d->service, &opts, why);
	if (!rc)
		rc = listen_all(d, why);
	return rc ? msn_failure_errno(why, rc, "cannot start") : 0;
}

static void stop(struct daemon *d)
{
	msn_service_free(d->service);
	msn_loop_free(d->loop);
	for (size_t i = 0; i < d->bound; i++)
		msn_address_forget(&d->listen[i]);
}

int main(int argc, char **argv)
{
	struct msn_failure why = { 0 };
	struct daemon d = { 0 };
	int rc = take_arguments(&d, argc, argv, &why);

	if (rc)
		return rc > 0 ? 0 : fail(&why) + 1;
	rc = start(&d, &why);
	if (rc) {
		stop(&d);
		return fail(&why);
	}
	sd_notify(0, "READY=1");
	rc = msn_loop_run(d.loop);
	stop(&d);
	return rc ? 1 : 0;
}
