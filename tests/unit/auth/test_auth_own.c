/*
 * Files of the host, for a service that is not root: its own user's only.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As root this becomes somebody else first.
 */
#include "auth_scene.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IS(text, want) EXPECT(strcmp((text), (want)) == 0)

static gid_t own_groups[256];
static size_t own_count;

static struct msn_status status;

/* What is in the file, or the reason why not. */
static const char *opened(struct scene *s, struct msn_peer peer)
{
	static char text[64];
	int fd = -1, rc;
	ssize_t n;

	CHECK(msn_auth_peer(s->auth, &peer, NULL) == 0);
	memset(&status, 0, sizeof(status));
	rc = msn_auth_open_path(s->auth, &peer, scene_path(s, "ro/file"),
				O_RDONLY, &fd, &status);
	if (rc) {
		CHECK(fd == -1);
		return status.reason;
	}
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return text;
}

static struct msn_peer myself(void)
{
	return process(geteuid(), getegid(), own_groups, own_count);
}

static void the_own_user_opens_files(void)
{
	struct scene s;

	scene_open(&s, "[files]\nallow = %/ro\n");
	scene_file(&s, "ro/file", "text", 0600);
	IS(opened(&s, myself()), "text");
	CHECK(chmod(scene_path(&s, "ro/file"), 0) == 0);
	IS(opened(&s, myself()), "FILE_DENIED");
	scene_close(&s);
}

static void other_users_are_refused_even_what_all_may_read(void)
{
	struct scene s;
	char want[128];

	scene_open(&s, "[files]\nallow = %/ro\n");
	scene_file(&s, "ro/file", "text", 0644);
	IS(opened(&s, process(0, 0, NULL, 0)), "FILE_RIGHTS");
	EXPECT(status.code == MSN_CODE_PERMISSION_DENIED);
	snprintf(want, sizeof(want),
		 "the service runs as user %u and may not "
		 "open files with the rights of user 4242",
		 (unsigned)geteuid());
	IS(opened(&s, process(4242, getegid(), own_groups, own_count)),
	   "FILE_RIGHTS");
	EXPECT(strncmp(status.text, want, strlen(want)) == 0);
	scene_close(&s);
}

/* Somebody who left a group would get it back by the service. */
static void a_caller_with_fewer_groups_is_refused(void)
{
	struct msn_peer peer = myself();
	struct scene s;

	scene_open(&s, "[files]\nallow = %/ro\n");
	scene_file(&s, "ro/file", "text", 0644);
	peer.gid = 4242;
	peer.group_count = 0;
	IS(opened(&s, peer), "FILE_RIGHTS");
	/* One with more may be served: the service can do less. */
	peer = myself();
	peer.groups = (gid_t[]){ 4242, getegid(), own_groups[0] };
	peer.gid = 4243;
	peer.group_count = own_count ? 3 : 2;
	if (own_count <= 1)
		IS(opened(&s, peer), "text");
	scene_close(&s);
}

static bool become_somebody(void)
{
	static const gid_t group = 52001;

	return geteuid() != 0 || (setgroups(1, &group) == 0 &&
				  setresgid(51002, 51002, 51002) == 0 &&
				  setresuid(51002, 51002, 51002) == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(the_own_user_opens_files),
		CHECK_TEST(other_users_are_refused_even_what_all_may_read),
		CHECK_TEST(a_caller_with_fewer_groups_is_refused),
		{}
	};
	int count;

	if (!become_somebody())
		check_skip("root that cannot become another user");
	count = getgroups(256, own_groups);
	own_count = count > 0 ? (size_t)count : 0;
	return check_main(argc, argv, "auth_own", tests);
}
