/*
 * Calls with one request and one answer: every way in which they end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "support/check.h"

#include <string.h>

static void an_echo(const char *method)
{
	Memsnap__Test__EchoResponse *e;
	struct client c;
	struct rig r;

	rig_init(&r, NULL);
	client_open(&c, &r);
	for (int i = 0; i < 3; i++) {
		e = client_echo(&c, method, "hello");
		EXPECT(strcmp(e->text, "hello") == 0);
		free_echo(e);
	}
	EXPECT(r.ended_count == 3 && r.ended[0].code == MSN_CODE_OK);
	EXPECT(rig_usage(&r).calls == 0);
	EXPECT(rig_usage(&r).buffered_bytes == 0);
	client_close(&c);
	rig_deinit(&r);
}

static void the_loop_thread_answers(void)
{
	an_echo("Echo");
}

static void a_worker_answers(void)
{
	an_echo("EchoSlow");
}

static void a_kept_call_is_answered_later(void)
{
	an_echo("EchoLater");
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_loop_thread_answers),
		CHECK_TEST(a_worker_answers),
		CHECK_TEST(a_kept_call_is_answered_later),
		{}
	};

	return check_main(argc, argv, "wire: unary", tests);
}
