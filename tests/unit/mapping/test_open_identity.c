/*
 * Open identities: one inode, several open files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/open_identity.h"

#include "base/fault.h"
#include "shmem/shmem.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

static struct msn_identity *make_inode(struct msn_memfile **mf)
{
	struct msn_shmem *s;

	CHECK(msn_memfile_new(mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_memfd_create(&s, &(struct msn_memfd_opts){
					   .memfile = *mf, .name = "x" }) == 0);
	CHECK(msn_shmem_pwrite(s, "bytes", 5, 0) == 5);
	return msn_shmem_identity(s);
}

static void an_open_file_shows_its_inode(void)
{
	struct msn_identity *inode, *open;
	struct msn_identity_saved a, b;
	struct msn_memfile *mf;

	inode = make_inode(&mf);
	CHECK(msn_open_identity_new(&open, inode) == 0);
	EXPECT(open != inode);
	EXPECT(strcmp(msn_identity_mapped_name(open), "/memfd:x (deleted)") ==
	       0);
	EXPECT(msn_identity_inode_id(open) == msn_identity_inode_id(inode));
	EXPECT(msn_identity_device_id(open) == msn_identity_device_id(inode));
	EXPECT(msn_identity_msync(open, (struct msn_obj_range){ 0, 4096 }) ==
	       0);
	CHECK(msn_identity_save(open, &a) == 0);
	CHECK(msn_identity_save(inode, &b) == 0);
	EXPECT(memcmp(&a, &b, sizeof(a)) == 0);
	msn_identity_dec_ref(inode);
	msn_identity_dec_ref(open);
	msn_memfile_free(mf);
}

static void an_open_file_keeps_its_inode(void)
{
	struct msn_identity *inode, *open[2];
	struct msn_memfile *mf;

	inode = make_inode(&mf);
	CHECK(msn_open_identity_new(&open[0], inode) == 0);
	CHECK(msn_open_identity_new(&open[1], open[0]) == 0);
	msn_identity_dec_ref(inode);
	msn_identity_inc_ref(open[1]);
	msn_identity_dec_ref(open[1]);
	msn_identity_dec_ref(open[0]);
	EXPECT(msn_memfile_used(mf) == 4096);
	EXPECT(strcmp(msn_identity_mapped_name(open[1]),
		      "/memfd:x (deleted)") == 0);
	msn_identity_dec_ref(open[1]);
	EXPECT(msn_memfile_used(mf) == 0);
	msn_memfile_free(mf);
}

static void without_memory_nothing_is_held(void)
{
	struct msn_identity *inode, *open = NULL;
	struct msn_memfile *mf;

	inode = make_inode(&mf);
	msn_fault_arm(1);
	EXPECT(msn_open_identity_new(&open, inode) == -ENOMEM && !open);
	msn_fault_arm(0);
	msn_identity_dec_ref(inode);
	EXPECT(msn_memfile_used(mf) == 0);
	msn_memfile_free(mf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_open_file_shows_its_inode),
		CHECK_TEST(an_open_file_keeps_its_inode),
		CHECK_TEST(without_memory_nothing_is_held),
		{}
	};

	return check_main(argc, argv, "open_identity", tests);
}
