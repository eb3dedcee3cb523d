/* A path belongs to one job at a time; what jobs left is told from what they are writing; links are followed
 * once, and never to or at a name of trimine's own. */
#include "store/claim.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static const char digits[] = "0123456789abcdef"; /* of a draft, after those of its host */

/* ---- what rank 0 does to the folder ---- */

static void must(bool worked)
{
    if (!worked) {
        perror("test");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

static void put(const char *name, const char *text)
{
    if (rank == 0) {
        FILE *file = fopen(in_folder(name), "w");
        must(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void put_link(const char *to, const char *name)
{
    if (rank == 0)
        must(symlink(to, in_folder(name)) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* A draft of NAME as a job on this host, or another, would have left it, this many hours ago. */
static const char *put_draft(const char *name, bool elsewhere, int hours)
{
    static char draft[100];
    char host[9];
    trm_host_digits(host);
    host[0] = elsewhere ? (host[0] == '0' ? '1' : '0') : host[0];
    snprintf(draft, sizeof draft, ".%s.trimine-tmp-%s%s", name, host, digits);
    put(draft, "half");
    if (rank == 0) {
        struct timeval times[2];
        must(gettimeofday(&times[0], NULL) == 0);
        times[0].tv_sec -= 3600 * hours;
        times[1] = times[0];
        must(utimes(in_folder(draft), times) == 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return draft;
}

static bool holds(const char *name, const char *text)
{
    char got[64] = "";
    FILE *file = rank == 0 ? fopen(in_folder(name), "r") : NULL;
    if (file != NULL) {
        got[fread(got, 1, sizeof got - 1, file)] = '\0';
        fclose(file);
    }
    return everywhere(rank != 0 || (file != NULL && strcmp(got, text) == 0));
}

static bool there(const char *name)
{
    struct stat about;
    return everywhere(rank != 0 || lstat(in_folder(name), &about) == 0);
}

static bool gone(const char *name)
{
    struct stat about;
    return everywhere(rank != 0 || lstat(in_folder(name), &about) != 0);
}

/* ---- claims ---- */

static trm_claim *claimed(const char *name, bool overwrite)
{
    trm_error err = TRM_ERROR_INIT;
    trm_claim *claim = NULL;
    const trm_status status =
        trm_claim_take(MPI_COMM_WORLD, "output", in_folder(name), overwrite, 0, NULL, &claim, &err);
    if (status != TRM_OK && rank == 0)
        fprintf(stderr, "'%s': %s\n", name, err.text);
    assert_true(everywhere(status == TRM_OK && claim != NULL));
    return claim;
}

typedef trm_status (*claim_fn)(MPI_Comm, const char *, const char *, bool, int, const char *const *,
                               trm_claim **, trm_error *);

static bool refused_by(claim_fn claims, trm_status wanted, const char *words, const char *path,
                       bool overwrite, const char *input)
{
    trm_error err = TRM_ERROR_INIT;
    trm_claim *claim = NULL;
    const trm_status status =
        claims(MPI_COMM_WORLD, "output", path, overwrite, input == NULL ? 0 : 1, &input, &claim, &err);
    const bool good = status == wanted && claim == NULL && strstr(err.text, words) != NULL;
    if (!good && rank == 0)
        fprintf(stderr, "'%s': status %d, '%s'\n", path, (int)status, err.text);
    trm_claim_release(&claim);
    return everywhere(good);
}

/* By whom takes it and by whom only looks. */
static bool refused(trm_status wanted, const char *words, const char *path, bool overwrite, const char *input)
{
    return refused_by(trm_claim_take, wanted, words, path, overwrite, input) &&
           refused_by(trm_claim_look, wanted, words, path, overwrite, input);
}

/* Writes "new" through a draft and gives it the claim's name. */
static trm_status write_new(trm_claim *claim, trm_error *err)
{
    trm_draft draft;
    trm_status status = trm_draft_open(MPI_COMM_WORLD, claim, &draft, err);
    assert_true(everywhere(status == TRM_OK));
    assert_true(everywhere(rank != ranks - 1 || pwrite(draft.file, "new", 3, 0) == 3));
    status = rank == 0 ? trm_draft_place(&draft, err) : TRM_OK;
    trm_draft_close(&draft);
    MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return status;
}

static bool writes(const char *name, bool overwrite)
{
    trm_error err = TRM_ERROR_INIT;
    trm_claim *claim = claimed(name, overwrite);
    const trm_status status = write_new(claim, &err);
    trm_claim_release(&claim);
    return everywhere(status == TRM_OK) && holds(name, "new") && everywhere(leftovers() == 0);
}

/* ---- tests ---- */

static void what_must_not_be_written_is_refused(void **state)
{
    (void)state;
    put("old", "old");
    put("in-b", "in");
    if (rank == 0) {
        must(mkdir(in_folder("in"), 0700) == 0 && link(in_folder("old"), in_folder("in/b.h5")) == 0);
        must(mkfifo(in_folder("fifo"), 0600) == 0);
    }
    put_link(in_folder("old"), "link");
    put_link("fifo", "to-fifo");
    put_link("circle2", "circle1");
    put_link("circle1", "circle2");
    put_link("nowhere/new", "to-nowhere");
    assert_true(refused(TRM_ERR_USAGE, "output '-'", "-", true, NULL));
    assert_true(refused(TRM_ERR_USAGE, "empty file name", "", true, NULL));
    assert_true(
        refused(TRM_ERR_CREATE, "exists; give --overwrite to replace it", in_folder("old"), false, NULL));
    assert_true(
        refused(TRM_ERR_CREATE, "exists; give --overwrite to replace it", in_folder("link"), false, NULL));
    assert_true(refused(TRM_ERR_CREATE, "no folder", in_folder("nowhere/new"), false, NULL));
    assert_true(refused(TRM_ERR_CREATE, "no folder", in_folder("to-nowhere"), false, NULL));
    assert_true(refused(TRM_ERR_CREATE, "is not a folder", in_folder("old/new"), false, NULL));
    assert_true(refused(TRM_ERR_CREATE, "is a folder", in_folder("in"), true, NULL));
    assert_true(refused(TRM_ERR_CREATE, "is a folder", in_folder("in/"), true, NULL));
    assert_true(refused(TRM_ERR_CREATE, "is a folder", in_folder("in/.."), true, NULL));
    assert_true(refused(TRM_ERR_CREATE, "is a pipe", in_folder("fifo"), true, NULL));
    assert_true(refused(TRM_ERR_CREATE, "is a pipe", in_folder("to-fifo"), true, NULL));
    assert_true(refused(TRM_ERR_CREATE, "in a circle", in_folder("circle1"), true, NULL));
    assert_true(refused_by(trm_claim_take, TRM_ERR_CREATE, "can't create a file in '/proc'", "/proc/new",
                           false, NULL)); /* which only trying tells */
    assert_true(refused(TRM_ERR_USAGE, "is one of the inputs", in_folder("old"), true, in_folder("old")));
    assert_true(refused(TRM_ERR_USAGE, "is one of the inputs", in_folder("link"), true, in_folder("old")));
    assert_true(refused(TRM_ERR_USAGE, "is one of the inputs", in_folder("old"), true, in_folder("in")));
    for (const char *name = ".x.trimine-lock\0.x.trimine-tmp-0123456789abcdef01234567\0"; *name != '\0';
         name += strlen(name) + 1)
        assert_true(refused(TRM_ERR_CREATE, "of trimine's own", in_folder(name), true, NULL));
    assert_true(holds("old", "old"));
    assert_true(everywhere(leftovers() == 0));
}

/* Also where standard output is a file that could be replaced. */
static void the_system_s_links_to_open_files_are_no_outputs(void **state)
{
    (void)state;
    char path[64];
    put("open", "old");
    const int file = open(in_folder("open"), O_RDWR | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    put_link(path, "stdout");
    assert_true(refused(TRM_ERR_CREATE, "which is the system's own", in_folder("stdout"), true, NULL));
    close(file);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(holds("open", "old"));
}

static void a_link_stays_and_its_target_is_replaced_in_its_own_folder(void **state)
{
    (void)state;
    if (rank == 0)
        must(mkdir(in_folder("there"), 0700) == 0);
    put("there/target", "old");
    put_link("there/target", "near");
    put_link("near", "far");
    put_link("there/free", "dangling");
    trm_error err = TRM_ERROR_INIT;
    trm_claim *claim = claimed("far", true);
    assert_true(there("there/.target.trimine-lock") && gone(".far.trimine-lock"));
    assert_true(
        refused(TRM_ERR_CREATE, "a running job has it already", in_folder("there/target"), true, NULL));
    assert_true(everywhere(write_new(claim, &err) == TRM_OK));
    trm_claim_release(&claim);
    assert_true(holds("there/target", "new") && holds("far", "new"));
    assert_true(gone("there/.target.trimine-lock"));
    assert_true(writes("dangling", false) && holds("there/free", "new"));
    struct stat about;
    assert_true(everywhere(rank != 0 || (lstat(in_folder("far"), &about) == 0 && S_ISLNK(about.st_mode))));
    assert_true(
        everywhere(rank != 0 || (lstat(in_folder("dangling"), &about) == 0 && S_ISLNK(about.st_mode))));
}

static void another_user_s_link_in_a_folder_of_all_is_not_followed(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return; /* there is nobody else to make one */
    put("victim", "victim");
    put_link("victim", "planted");
    if (rank == 0)
        must(lchown(in_folder("planted"), 65534, 65534) == 0 && chmod(folder, 01777) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(
        refused(TRM_ERR_PERMISSION, "another user's symbolic link", in_folder("planted"), true, NULL));
    if (rank == 0)
        must(chmod(folder, 0755) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(writes("planted", true) && holds("victim", "new"));
}

static void two_paths_to_one_place_are_the_same(void **state)
{
    (void)state;
    put_link(folder, "same");
    put_link("free", "dangling");
    assert_true(everywhere(trm_output_is_same(in_folder("free"), in_folder("same/free"))));
    assert_true(everywhere(trm_output_is_same(in_folder("dangling"), in_folder("free"))));
    assert_false(everywhere(trm_output_is_same(in_folder("other"), in_folder("free"))));
}

static void a_second_job_is_refused_and_told_by_whom(void **state)
{
    (void)state;
    char owner[64] = "", host[32] = "";
    int process = (int)getpid();
    MPI_Bcast(&process, 1, MPI_INT, 0, MPI_COMM_WORLD);
    gethostname(host, sizeof host - 1);
    snprintf(owner, sizeof owner, "process %d on %s", process, host);
    trm_claim *claim = claimed("out", false), *again;
    assert_true(refused(TRM_ERR_CREATE, owner, in_folder("out"), true, NULL));
    assert_true(there(".out.trimine-lock"));
    trm_claim_release(&claim);
    assert_true(gone(".out.trimine-lock"));
    again = claimed("out", false);
    trm_claim_release(&again);
}

static void parts_belong_to_the_job_of_the_whole(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_claim *whole = claimed("c", true), *part = NULL, *other;
    assert_true(refused(TRM_ERR_CREATE, "a running job has it", in_folder("c.piece-0"), true, NULL));
    assert_true(everywhere(trm_claim_part(whole, ".piece-0", &part, &err) == TRM_OK));
    assert_true(everywhere(write_new(part, &err) == TRM_OK));
    assert_true(holds("c.piece-0", "new") && gone(".c.piece-0.trimine-lock"));
    trm_claim_release(&part);
    trm_claim_release(&whole);
    other = claimed("c.piece-0", true);
    whole = claimed("c", true);
    assert_true(everywhere(trm_claim_part(whole, ".piece-0", &part, &err) == TRM_ERR_CREATE && part == NULL));
    trm_claim_release(&other);
    trm_claim_release(&whole);
    assert_true(everywhere(leftovers() == 0));
}

static void what_a_killed_job_left_is_removed(void **state)
{
    (void)state;
    char mine[100], piece[100], elsewhere[100], old[100];
    put(".out.trimine-lock", "process 1 on nowhere\n");
    snprintf(mine, sizeof mine, "%s", put_draft("out", false, 0));
    snprintf(piece, sizeof piece, "%s", put_draft("out.piece-12", false, 0));
    snprintf(old, sizeof old, "%s", put_draft("out.piece-3", true, 25));
    snprintf(elsewhere, sizeof elsewhere, "%s", put_draft("out", true, 23));
    trm_claim *claim = claimed("out", false);
    assert_true(everywhere(rank != 0 || trm_claim_after_kill(claim)));
    assert_true(gone(mine) && gone(piece) && gone(old));
    assert_true(there(elsewhere)); /* its job may be alive where its lock can't be seen */
    trm_claim_release(&claim);
    assert_true(gone(".out.trimine-lock"));
}

static void who_only_looks_makes_and_removes_nothing(void **state)
{
    (void)state;
    char draft[100];
    trm_error err = TRM_ERROR_INIT;
    trm_claim *look = NULL, *again = NULL;
    put(".out.trimine-lock", "process 1 on nowhere\n");
    snprintf(draft, sizeof draft, "%s", put_draft("out", false, 0));
    assert_true(everywhere(
        trm_claim_look(MPI_COMM_WORLD, "output", in_folder("out"), false, 0, NULL, &look, &err) == TRM_OK &&
        trm_claim_look(MPI_COMM_WORLD, "output", in_folder("out"), false, 0, NULL, &again, &err) == TRM_OK));
    assert_true(there(draft) && holds(".out.trimine-lock", "process 1 on nowhere\n"));
    trm_claim_release(&look);
    trm_claim_release(&again);
    assert_true(there(draft) && there(".out.trimine-lock") && gone("out"));
}

static void a_folder_of_another_user_is_no_place(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return; /* there is nobody else */
    if (rank == 0)
        must(chmod(folder, 0755) == 0 && seteuid(65534) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    const bool is = refused(TRM_ERR_PERMISSION, "can't create a file in '", in_folder("out"), false, NULL);
    if (rank == 0)
        must(seteuid(0) == 0);
    assert_true(is && everywhere(leftovers() == 0));
}

static void names_of_others_are_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {
        ".out.trimine-tmp-",     ".out.trimine-tmp-0123", ".out.trimine-tmp-README-of-mine-and-24x",
        ".out2.trimine-lock",    "out.trimine-tmp",       ".out.piece-.trimine-tmp-0123456789abcdef01234567",
        ".out.trimine-spool.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(names[i], "mine");
    const char *others = put_draft("out2", false, 0);
    trm_claim *claim = claimed("out", false);
    assert_true(everywhere(rank != 0 || !trm_claim_after_kill(claim)));
    trm_claim_release(&claim);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(holds(names[i], "mine"));
    assert_true(there(others));
}

/* A draft that somebody holds is no leftover, even where its job's lock file was removed by hand. */
static void a_draft_in_work_is_left_alone(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_draft draft;
    trm_claim *first = claimed("out", true), *second;
    assert_true(everywhere(trm_draft_open(MPI_COMM_WORLD, first, &draft, &err) == TRM_OK));
    if (rank == 0)
        must(unlink(in_folder(".out.trimine-lock")) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    second = claimed("out", true);
    assert_true(there(draft.name));
    assert_true(everywhere(rank != 0 || trm_draft_place(&draft, &err) == TRM_OK));
    trm_draft_close(&draft);
    trm_claim_release(&first); /* whose lock file is another one now */
    assert_true(there(".out.trimine-lock"));
    assert_true(everywhere(write_new(second, &err) == TRM_OK));
    trm_claim_release(&second);
    assert_true(everywhere(leftovers() == 0));
}

static void planted_names_are_not_followed(void **state)
{
    (void)state;
    put("victim", "victim");
    put_link("victim", ".a.trimine-lock");
    assert_true(refused(TRM_ERR_CREATE, "is in the way", in_folder("a"), true, NULL));
    if (rank == 0)
        must(link(in_folder("victim"), in_folder(".b.trimine-lock")) == 0 &&
             mkfifo(in_folder(".c.trimine-lock"), 0600) == 0 &&
             mkdir(in_folder(".d.trimine-lock"), 0700) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    for (const char *name = "b\0c\0d\0"; *name != '\0'; name += 2)
        assert_true(refused(TRM_ERR_CREATE, "is in the way", in_folder(name), true, NULL));
    assert_true(holds("victim", "victim"));
}

static void a_draft_that_was_replaced_is_noticed(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_draft draft;
    put("out", "old");
    put("victim", "victim");
    trm_claim *claim = claimed("out", true);
    assert_true(everywhere(trm_draft_open(MPI_COMM_WORLD, claim, &draft, &err) == TRM_OK));
    if (rank == 0)
        must(unlink(in_folder(draft.name)) == 0 && symlink("victim", in_folder(draft.name)) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(everywhere(rank != 0 || (trm_draft_place(&draft, &err) == TRM_ERR_IO &&
                                         strstr(err.text, "was removed or replaced") != NULL)));
    trm_draft_close(&draft);
    trm_claim_release(&claim);
    assert_true(holds("out", "old") && holds("victim", "victim") && there(draft.name));
}

static void what_came_to_be_there_meanwhile_is_not_replaced(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_claim *claim = claimed("out", false);
    put("out", "other");
    put("out.1", "other");
    assert_true(everywhere(write_new(claim, &err) == TRM_ERR_CREATE));
    assert_true(everywhere(rank != 0 || strstr(err.text, "/out.2'") != NULL));
    trm_claim_release(&claim);
    assert_true(holds("out", "other") && holds("out.1", "other") && holds("out.2", "new"));
    claim = claimed("free", true); /* nor is a pipe with --overwrite */
    if (rank == 0)
        must(mkfifo(in_folder("free"), 0600) == 0);
    trm_error pipe_err = TRM_ERROR_INIT;
    assert_true(everywhere(write_new(claim, &pipe_err) == TRM_ERR_CREATE));
    trm_claim_release(&claim);
    assert_true(holds("free.1", "new"));
    assert_true(everywhere(leftovers() == 0));
}

static void the_longest_names_work(void **state)
{
    (void)state;
    char longest[2][NAME_MAX + 1];
    for (int i = 0; i < 2; i++) {
        memset(longest[i], 'x', NAME_MAX);
        longest[i][NAME_MAX] = '\0';
    }
    longest[1][NAME_MAX - 1] = 'y';
    trm_claim *first = claimed(longest[0], false);
    assert_true(writes(longest[1], false) || there(longest[1])); /* beside the first one's lock */
    trm_claim_release(&first);
    assert_true(writes(longest[0], false) && holds(longest[1], "new"));
    assert_true(everywhere(leftovers() == 0));
}

static void a_file_gets_the_mode_of_the_umask(void **state)
{
    (void)state;
    struct stat about;
    const mode_t before = umask(0027);
    const bool written = writes("out", false);
    umask(before);
    assert_true(written);
    assert_true(
        everywhere(rank != 0 || (stat(in_folder("out"), &about) == 0 && (about.st_mode & 0777) == 0640)));
}

/* "a" is not the root because it is one letter. */
static void a_target_is_its_folder_and_its_name(void **state)
{
    (void)state;
    char before[PATH_MAX];
    assert_true(everywhere(getcwd(before, sizeof before) != NULL));
    if (rank == 0)
        must(mkdir(in_folder("a"), 0700) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    assert_true(everywhere(chdir(folder) == 0));
    static const char *const targets[][2] = {{"a/out", "a/out"}, {"out", "out"}, {"./out", "out"}};
    trm_error err = TRM_ERROR_INIT;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        trm_claim *claim = NULL;
        trm_status status =
            trm_claim_take(MPI_COMM_WORLD, "output", targets[i][0], false, 0, NULL, &claim, &err);
        assert_true(everywhere(status == TRM_OK && strcmp(trm_claim_target(claim), targets[i][1]) == 0));
        trm_claim_release(&claim);
    }
    assert_true(everywhere(chdir(before) == 0));
}

static void a_nameless_file_leaves_nothing(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    int file = -1;
    trm_claim *claim = claimed("out", false);
    assert_true(everywhere(trm_draft_nameless(claim, &file, &err) == TRM_OK && pwrite(file, "x", 1, 0) == 1));
    trm_claim_release(&claim);
    assert_true(everywhere(leftovers() == 0));
    close(file);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_must_not_be_written_is_refused),
        IN_FOLDER(the_system_s_links_to_open_files_are_no_outputs),
        IN_FOLDER(a_link_stays_and_its_target_is_replaced_in_its_own_folder),
        IN_FOLDER(another_user_s_link_in_a_folder_of_all_is_not_followed),
        IN_FOLDER(two_paths_to_one_place_are_the_same),
        IN_FOLDER(a_second_job_is_refused_and_told_by_whom),
        IN_FOLDER(parts_belong_to_the_job_of_the_whole),
        IN_FOLDER(what_a_killed_job_left_is_removed),
        IN_FOLDER(who_only_looks_makes_and_removes_nothing),
        IN_FOLDER(a_folder_of_another_user_is_no_place),
        IN_FOLDER(names_of_others_are_left_alone),
        IN_FOLDER(a_draft_in_work_is_left_alone),
        IN_FOLDER(planted_names_are_not_followed),
        IN_FOLDER(a_draft_that_was_replaced_is_noticed),
        IN_FOLDER(what_came_to_be_there_meanwhile_is_not_replaced),
        IN_FOLDER(the_longest_names_work),
        IN_FOLDER(a_file_gets_the_mode_of_the_umask),
        IN_FOLDER(a_target_is_its_folder_and_its_name),
        IN_FOLDER(a_nameless_file_leaves_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
