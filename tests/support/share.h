/* What one rank has found out for all. */
#ifndef TESTS_SUPPORT_SHARE_H
#define TESTS_SUPPORT_SHARE_H

/* Every rank gets rank 0's bytes at data. The others sleep until it comes, which MPI's own waiting does not:
 * that would take time from rank 0 where there are fewer cores than ranks. Collective on MPI_COMM_WORLD. */
void test_share(void *data, int bytes);

#endif
