/*
 * Auth: owners and roles of processes, certificates and nobody.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "auth_scene.h"
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define IS(text, want) EXPECT(strcmp((text), (want)) == 0)

static const gid_t groups[] = { 20, 21, 22 };

static void root_and_the_own_user_are_administrators(void)
{
	struct scene s;
	char want[64];

	scene_open(&s, "[roles]\noperate =\n");
	IS(judged(&s, process(0, 0, NULL, 0), NULL), "uid:0 admin");
	snprintf(want, sizeof(want), "uid:%u admin", (unsigned)geteuid());
	IS(judged(&s, process(geteuid(), 9, NULL, 0), NULL), want);
	IS(judged(&s, process(4242, 0, NULL, 0), NULL), "uid:4242 none");
	scene_close(&s);
}

static void a_process_has_the_highest_role_of_its_user_and_groups(void)
{
	struct scene s;

	scene_open(&s, "[roles]\nread = uid:1001, gid:22\n"
		       "operate = gid:20, user:1002\nadmin = gid:21\n");
	IS(judged(&s, process(1001, 1, NULL, 0), NULL), "uid:1001 read");
	IS(judged(&s, process(1001, 20, NULL, 0), NULL), "uid:1001 operate");
	IS(judged(&s, process(1002, 1, NULL, 0), NULL), "uid:1002 operate");
	IS(judged(&s, process(1001, 1, groups, 1), NULL), "uid:1001 operate");
	IS(judged(&s, process(1001, 1, groups, 2), NULL), "uid:1001 admin");
	IS(judged(&s, process(1003, 1, groups + 2, 1), NULL), "uid:1003 read");
	IS(judged(&s, process(1003, 1, NULL, 0), NULL), "uid:1003 none");
	scene_close(&s);
}

static void whoever_comes_by_a_unix_socket_may_operate_by_default(void)
{
	struct msn_peer tcp = { .transport = MSN_TRANSPORT_TCP,
				.uid = (uid_t)-1,
				.gid = (gid_t)-1 };
	struct scene s;

	scene_open(&s, "");
	IS(judged(&s, process(1001, 1, NULL, 0), NULL), "uid:1001 operate");
	IS(judged(&s, tcp, NULL), "anonymous none");
	IS(judged(&s, stranger("x.example"), NULL), "anonymous none");
	/* What another user's number is does not matter on another way. */
	tcp.uid = 0;
	IS(judged(&s, tcp, NULL), "anonymous none");
	scene_close(&s);
}

static void a_certificate_is_its_tenant(void)
{
	struct msn_peer fake = process(1001, 1, NULL, 0);
	struct scene s;

	scene_open(&s, "[listen]\ntls_client_ca = /ca\n[roles]\n"
		       "read = uri:spiffe://a/b tenant:acme, "
		       "uri:only.example tenant:x, dns:urn:y tenant:y\n"
		       "admin = dns:ci.example tenant:ci\n"
		       "operate = dns:ci.example tenant:ci, "
		       "uri:ci.example tenant:odd\n");
	IS(judged(&s, stranger("spiffe://a/b"), NULL), "tenant:acme read");
	IS(judged(&s, stranger("ci.example"), NULL), "tenant:ci admin");
	IS(judged(&s, stranger("spiffe://a/b/c"), NULL), "anonymous none");
	IS(judged(&s, stranger("SPIFFE://a/b"), NULL), "anonymous none");
	IS(judged(&s, stranger(""), NULL), "anonymous none");
	/* A URI has a colon and a DNS name has none. */
	IS(judged(&s, stranger("only.example"), NULL), "anonymous none");
	IS(judged(&s, stranger("urn:y"), NULL), "anonymous none");
	/* A name counts only where TLS has verified it. */
	snprintf(fake.certificate, sizeof(fake.certificate), "ci.example");
	IS(judged(&s, fake, NULL), "uid:1001 none");
	scene_close(&s);
}

static void a_reload_counts_for_who_comes_next(void)
{
	struct scene s;

	scene_open(&s, "[roles]\nread = uid:1001\noperate =\n");
	IS(judged(&s, process(1001, 1, NULL, 0), NULL), "uid:1001 read");
	CHECK(scene_reload(&s, "[roles]\nadmin = uid:1001\n") == 0);
	IS(judged(&s, process(1001, 1, NULL, 0), NULL), "uid:1001 admin");
	scene_close(&s);
}

/*
 * In a user namespace with one user, all the others look the same: none of them
 * may have the things of another.
 */
static void users_that_cannot_be_told_apart_are_refused(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		struct scene s;
		FILE *map;
		bool ok;

		if (unshare(CLONE_NEWUSER))
			_exit(77);
		map = fopen("/proc/self/uid_map", "we");
		if (!map || fputs("0 0 1\n", map) < 0 || fclose(map))
			_exit(77);
		scene_open(&s, "");
		ok = strcmp(judged(&s, process(65534, 1, NULL, 0), NULL),
			    "refused") == 0 &&
		     strcmp(judged(&s, process(0, 1, NULL, 0), NULL),
			    "uid:0 admin") == 0;
		scene_close(&s);
		_exit(!ok);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		printf("(left out: no right to make a user namespace) ");
	else
		EXPECT(WEXITSTATUS(status) == 0);
}

static void nobody_is_somebody_where_all_users_are_known(void)
{
	struct scene s;

	scene_open(&s, "");
	if (geteuid() == 0)
		IS(judged(&s, process(65534, 1, NULL, 0), NULL),
		   "uid:65534 operate");
	scene_close(&s);
}

/* ---- Threads ------------------------------------------------------------ */

static atomic_bool stop;
static atomic_uint wrong; /* threads cannot leave a test as CHECK() does */

static void *ask(void *arg)
{
	struct scene *s = arg;

	while (!stop) {
		struct msn_peer p = process(1001, 1, NULL, 0);

		if (msn_auth_peer(s->auth, &p, NULL) ||
		    (p.role != MSN_ROLE_READ && p.role != MSN_ROLE_ADMIN))
			wrong++;
	}
	return NULL;
}

static void reloads_do_not_disturb_who_asks(void)
{
	msn_auto(msn_config_unrefp) struct msn_config *other = NULL;
	pthread_t threads[2];
	struct scene s;

	scene_open(&s, "[roles]\noperate =\nread = uid:1001\n");
	other = msn_config_ref(s.config);
	scene_configure(&s, "[roles]\noperate =\nadmin = uid:1001\n");
	stop = false;
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, ask, &s) == 0);
	for (int i = 0; i < 500; i++)
		CHECK(msn_auth_reload(s.auth, i % 2 ? other : s.config, NULL) ==
		      0);
	stop = true;
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	EXPECT(wrong == 0);
	scene_close(&s);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(root_and_the_own_user_are_administrators),
		CHECK_TEST(
			a_process_has_the_highest_role_of_its_user_and_groups),
		CHECK_TEST(
			whoever_comes_by_a_unix_socket_may_operate_by_default),
		CHECK_TEST(a_certificate_is_its_tenant),
		CHECK_TEST(a_reload_counts_for_who_comes_next),
		CHECK_TEST(users_that_cannot_be_told_apart_are_refused),
		CHECK_TEST(nobody_is_somebody_where_all_users_are_known),
		CHECK_TEST(reloads_do_not_disturb_who_asks),
		{}
	};

	return check_main(argc, argv, "auth", tests);
}
