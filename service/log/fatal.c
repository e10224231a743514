/*
 * Last words: signals of a bug, and broken assertions.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A handler runs in the middle of anything: no lock is taken, nothing is
 * allocated, and what is called is on the list of signal-safety(7) or pure.
 */
#include "base/assert.h"
#include "log/log.h"
#include "sink.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

void msn_log_fatal(const char *text, const struct msn_log_field *fields,
		   size_t count)
{
	struct event e = {
		.level = MSN_LOG_ERROR,
		.component = msn_log_component_name(MSN_LOG_DAEMON),
		.id = "daemon.fatal",
		.text = text,
		.fields = fields,
		.count = count,
	};

	msn_log_sink_write_fatal(&e);
}

static void handle(int sig, siginfo_t *info, void *context)
{
	bool has_address = sig != SIGABRT && info->si_code > 0;
	const struct msn_log_field fields[] = {
		msn_log_text("signal", sigabbrev_np(sig)),
		msn_log_signed("code", info->si_code),
		has_address ? msn_log_hex("address",
					  (uint64_t)(uintptr_t)info->si_addr)
			    : msn_log_text("address", NULL),
		msn_log_signed("thread", gettid()),
	};

	(void)context;
	msn_log_fatal("the service ends by a signal", fields,
		      MSN_ARRAY_LEN(fields));
	/*
	 * The disposition is the default again (SA_RESETHAND).  What a signal
	 * was sent for does not happen again by itself.
	 */
	if (sig == SIGABRT || info->si_code <= 0)
		raise(sig);
}

static void tell_assertion(const char *what, const char *func, const char *file,
			   int line)
{
	const struct msn_log_field fields[] = {
		msn_log_text("why", what),
		msn_log_text("function", func),
		msn_log_text("file", file),
		msn_log_signed("line", line),
	};

	msn_log_fatal("an assertion does not hold", fields,
		      MSN_ARRAY_LEN(fields));
}

void msn_log_catch_fatal(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
				       SIGABRT };
	struct sigaction sa = {
		.sa_sigaction = handle,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER |
			    (int)SA_RESETHAND,
	}, old;

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < MSN_ARRAY_LEN(signals); i++) {
		msn_assert(sigaction(signals[i], NULL, &old) == 0);
		if (old.sa_handler == SIG_DFL)
			msn_assert(sigaction(signals[i], &sa, NULL) == 0);
	}
	msn_assert_report_to(tell_assertion);
}
