/* Jobs, by their public header alone: both kinds, every step, what it refuses and what a failure in it leaves behind;
 * stopped and gone on with on other ranks. Jobs run on part of the ranks (a communicator of the first q). */
#include <trimine/job.h>
#include <trimine/store.h>

#include "support/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <hdf5.h>
#include <jansson.h>
#include <omp.h>

enum { ROWS = 300, DIM = 6, CLASSES = 6, BATCH = 12, NEGATIVES = 3, NEVER = 1 << 30 };

/* ---- files ---- */

static void put(hid_t file, const char *name, hid_t type, int dims, const hsize_t *size, const void *values)
{
    hid_t space = H5Screate_simple(dims, size, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        MPI_Abort(MPI_COMM_WORLD, 1);
    H5Dclose(set);
    H5Sclose(space);
}

/* Numbers that look random, with ties. */
static float number(int64_t i)
{
    return (float)((uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 58) * 0.125F;
}

/* factor 0: all rows are zero, as of a store that was never filled. */
static void put_store(const char *name, float factor)
{
    static float x[ROWS * DIM];
    static int64_t labels[ROWS];
    for (int64_t i = 0; i < ROWS * DIM; i++)
        x[i] = factor * (number(i) + (float)(i / DIM % CLASSES));
    for (int64_t i = 0; i < ROWS; i++)
        labels[i] = i % CLASSES;
    hid_t file = H5Fcreate(in_folder(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put(file, "embeddings", H5T_NATIVE_FLOAT, 2, (const hsize_t[]){ROWS, DIM}, x);
    put(file, "labels", H5T_NATIVE_INT64, 1, (const hsize_t[]){ROWS}, labels);
    H5Fclose(file);
}

static void put_packed(const char *name)
{
    enum { EACH = BATCH * NEGATIVES * DIM };
    static float x[3 * EACH];
    for (int64_t i = 0; i < 3 * EACH; i++)
        x[i] = number(i);
    hid_t file = H5Fcreate(in_folder(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put(file, "anchor", H5T_NATIVE_FLOAT, 2, (const hsize_t[]){BATCH, DIM}, x);
    put(file, "positive", H5T_NATIVE_FLOAT, 2, (const hsize_t[]){BATCH, DIM}, x + EACH);
    put(file, "negatives", H5T_NATIVE_FLOAT, 3, (const hsize_t[]){BATCH, NEGATIVES, DIM}, x + 2 * EACH);
    H5Fclose(file);
}

static int make_files(void **state)
{
    make_folder(state);
    if (rank == 0) {
        put_store("store", 1.0F);
        put_store("zero", 0.0F);
        put_packed("packed");
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return 0;
}

static bool there(const char *name)
{
    return everywhere(rank != 0 || access(in_folder(name), F_OK) == 0);
}

static bool gone(const char *name)
{
    return everywhere(rank != 0 || access(in_folder(name), F_OK) != 0);
}

static void drop(const char *name)
{
    if (rank == 0)
        unlink(in_folder(name));
    MPI_Barrier(MPI_COMM_WORLD);
}

static bool is_clean(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    return everywhere(leftovers() == 0);
}

/* On rank 0: what is in a file; the caller frees it. */
static char *bytes_of(const char *name, long *size)
{
    FILE *file = fopen(in_folder(name), "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return NULL;
    *size = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)*size + 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)*size, file) != (size_t)*size)
        MPI_Abort(MPI_COMM_WORLD, 1);
    fclose(file);
    return bytes;
}

static bool same_files(const char *a, const char *b)
{
    bool same = true;
    if (rank == 0) {
        long sizes[2] = {-1, -2};
        char *bytes[2] = {bytes_of(a, &sizes[0]), bytes_of(b, &sizes[1])};
        same = bytes[0] != NULL && bytes[1] != NULL && sizes[0] == sizes[1] &&
               memcmp(bytes[0], bytes[1], (size_t)sizes[0]) == 0;
        free(bytes[0]);
        free(bytes[1]);
    }
    return everywhere(same);
}

/* ---- a job and who watches it ---- */

typedef struct watcher {
    int lines[4], progress;
    int asked, stop_at; /* stops at this question of its own; NEVER */
    int saved, not_saved;
    char warning[400]; /* the last one */
} watcher;

static void say(void *context, trm_line line, const char *text)
{
    watcher *w = context;
    w->lines[line]++;
    if (line == TRM_LINE_WARNING)
        snprintf(w->warning, sizeof w->warning, "%s", text);
}

static int wish(void *context)
{
    watcher *w = context;
    return w->asked++ >= w->stop_at ? TRM_WISH_STOP : 0;
}

static void saved(void *context)
{
    ((watcher *)context)->saved++;
}

static void not_saved(void *context)
{
    ((watcher *)context)->not_saved++;
}

static void progress(void *context, const char *phase, double fraction, double reused)
{
    (void)phase;
    (void)fraction;
    (void)reused;
    ((watcher *)context)->progress++;
}

static trm_job_hooks hooks_of(watcher *w)
{
    trm_job_hooks hooks;
    trm_job_hooks_init(&hooks);
    hooks.context = hooks.progress_context = w;
    hooks.say = say;
    hooks.wish = wish;
    hooks.saved = saved;
    hooks.not_saved = not_saved;
    hooks.progress = progress;
    return hooks;
}

/* The ranks that take part: the first so many; MPI_COMM_NULL elsewhere. */
static MPI_Comm first_ranks(int count)
{
    MPI_Comm comm;
    MPI_Comm_split(MPI_COMM_WORLD, rank < count ? 0 : MPI_UNDEFINED, rank, &comm);
    return comm;
}

static void leave(MPI_Comm *comm)
{
    if (*comm != MPI_COMM_NULL)
        MPI_Comm_free(comm);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* A job of that kind on an input in the folder, told by "option=value option ..."; a value that begins with @ is a
 * file there. */
static trm_job *told(const char *kind, const char *input, const char *options)
{
    char copy[400], path[400], *rest = NULL;
    trm_job *job = NULL;
    trm_error err = TRM_ERROR_INIT;
    trm_status status = trm_job_create(kind, &job, &err);
    if (status == TRM_OK)
        status = trm_job_add_input(job, in_folder(input), &err);
    snprintf(copy, sizeof copy, "%s", options);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && status == TRM_OK;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        if (value != NULL)
            *value++ = '\0';
        if (value != NULL && value[0] == '@') {
            snprintf(path, sizeof path, "%s", in_folder(value + 1));
            value = path;
        }
        status = trm_job_set(job, word, value, &err);
    }
    if (status != TRM_OK) {
        fprintf(stderr, "'%s': %s\n", options, err.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return job;
}

/* All steps up to the one of that number (open, plan, run, write, tell), or the first that fails. */
static trm_status steps(trm_job *job, int last, MPI_Comm comm, const trm_job_hooks *hooks, trm_error *err)
{
    const char *json;
    trm_status status = trm_job_open(job, comm, hooks, err);
    if (status == TRM_OK && last >= 2)
        status = trm_job_plan(job, err);
    if (status == TRM_OK && last >= 3)
        status = trm_job_run(job, err);
    if (status == TRM_OK && last >= 4)
        status = trm_job_write(job, err);
    if (status == TRM_OK && last >= 5)
        status = trm_job_tell(job, &json, err);
    return status;
}

static bool is(trm_status status, const trm_error *err, trm_status wanted, const char *words)
{
    const bool good =
        status == wanted && (status == TRM_OK || (err->status == wanted && strstr(err->text, words) != NULL));
    if (!good)
        fprintf(stderr, "rank %d: status %d, '%s'; expected %d, '%s'\n", rank, (int)status, err->text,
                (int)wanted, words);
    return good;
}

static bool refuses(trm_status status, trm_error *err, const char *words)
{
    const bool good = is(status, err, TRM_ERR_USAGE, words);
    *err = (trm_error)TRM_ERROR_INIT;
    return good;
}

/* What is told, of that key; "" for none. Rank 0 of comm. */
static char *fact(const char *json, const char *key)
{
    json_t *facts = json_loads(json, 0, NULL), *value = json_object_get(facts, key);
    char *text = value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup("");
    assert_true(json_is_object(facts));
    json_decref(facts);
    return text;
}

/* ---- what it is told ---- */

static void what_no_job_takes_is_refused(void **state)
{
    (void)state;
    trm_job *job = NULL;
    trm_error err = TRM_ERROR_INIT;
    assert_true(
        refuses(trm_job_create("bench", &job, &err), &err, "'bench': no such kind of job: mine or loss"));
    assert_null(job);
    trm_job_destroy(&job);
    assert_int_equal(trm_job_create("mine", &job, &err), TRM_OK);
    assert_true(refuses(trm_job_set(job, "json", NULL, &err), &err, "'json': no option of mine"));
    assert_true(refuses(trm_job_set(job, "margin", NULL, &err), &err, "'--margin': needs a value"));
    assert_true(refuses(trm_job_set(job, "soft", "1", &err), &err, "'--soft': takes no value"));
    assert_int_equal(trm_job_check(job, NULL), TRM_OK);
    assert_true(refuses(trm_job_open(job, MPI_COMM_WORLD, NULL, &err), &err, "no store given"));
    trm_job_destroy(&job);
    assert_null(job);
}

static void once_checked_nothing_more_is_told(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_job *job = told("mine", "store", "margin=0.5");
    assert_int_equal(trm_job_check(job, &err), TRM_OK);
    assert_int_equal(trm_job_check(job, &err), TRM_OK);
    assert_true(refuses(trm_job_set(job, "margin", "1", &err), &err, "before it is checked"));
    assert_true(refuses(trm_job_add_input(job, "more", &err), &err, "before it is checked"));
    trm_job_destroy(&job);
}

static void what_was_refused_stays_refused(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_job *job = told("mine", "store", "margin=x");
    assert_true(refuses(trm_job_check(job, &err), &err, "--margin 'x'"));
    assert_true(refuses(trm_job_check(job, &err), &err, "has failed"));
    assert_true(everywhere(refuses(trm_job_open(job, MPI_COMM_WORLD, NULL, &err), &err, "has failed")));
    assert_true(everywhere(refuses(trm_job_plan(job, &err), &err, "has failed")));
    trm_job_destroy(&job);
    job = told("mine", "store", "compat=facenet compat=tfa-hard");
    assert_true(refuses(trm_job_check(job, &err), &err, "give one of them"));
    trm_job_destroy(&job);
}

/* Ranks that were told different things would wait for each other for ever. */
static void ranks_are_told_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *input, *options, *words;
    } last[] = {
        {"mine", "store", "margin=0.5", "2 inputs and options on rank"},
        {"mine", "store", "margin=0.5 output=@b", "/b' on rank"},
        {"mine", "store", "margin=0.25 output=@a", "margin '0.25' on rank"},
        {"mine", "zero", "margin=0.5 output=@a", "/zero' on rank"},
        {"loss", "store", "margin=0.5 output=@a gradient loss=mined", "5 inputs and options on rank"},
        {"mine", "store", "margin=x output=@a", "--margin 'x'"},
        {"mine", "store", "margin=0.5 output=@a threads=1", NULL}, /* that may differ */
    };
    const bool other = ranks > 1 && rank == ranks - 1;
    for (size_t i = 0; i < sizeof last / sizeof *last && ranks > 1; i++) {
        trm_error err = TRM_ERROR_INIT;
        trm_job *job = other ? told(last[i].kind, last[i].input, last[i].options)
                             : told("mine", "store", "margin=0.5 output=@a");
        const bool fine = last[i].words == NULL;
        const trm_status status = trm_job_open(job, MPI_COMM_WORLD, NULL, &err);
        assert_true(everywhere(is(status, &err, fine ? TRM_OK : TRM_ERR_USAGE, fine ? "" : last[i].words)));
        assert_true(fine || err.rank == ranks - 1);
        trm_job_destroy(&job);
        assert_true(is_clean());
    }
}

/* ---- its steps ---- */

static void steps_out_of_turn_are_refused(void **state)
{
    (void)state;
    const char *json = "x", *again = NULL;
    trm_error err = TRM_ERROR_INIT;
    MPI_Comm world = MPI_COMM_WORLD;
    trm_job *job = told("mine", "store", "output=@a overwrite");
    assert_true(refuses(trm_job_plan(job, &err), &err, "trm_job_plan: comes after trm_job_open"));
    assert_true(refuses(trm_job_tell(job, &json, &err), &err, "trm_job_tell: comes after trm_job_write"));
    assert_null(json);
    assert_true(refuses(trm_job_open(job, MPI_COMM_NULL, NULL, &err), &err, "MPI_COMM_NULL"));
    trm_job_done(job);
    assert_true(everywhere(is(trm_job_open(job, world, NULL, &err), &err, TRM_OK, "")));
    assert_true(refuses(trm_job_open(job, world, NULL, &err), &err, "trm_job_open: was called before"));
    assert_true(refuses(trm_job_run(job, &err), &err, "trm_job_run: comes after trm_job_plan"));
    assert_true(everywhere(is(trm_job_plan(job, &err), &err, TRM_OK, "")));
    assert_true(refuses(trm_job_plan(job, &err), &err, "trm_job_plan: was called before"));
    assert_true(refuses(trm_job_write(job, &err), &err, "trm_job_write: comes after trm_job_run"));
    assert_true(everywhere(is(trm_job_run(job, &err), &err, TRM_OK, "")));
    assert_true(refuses(trm_job_run(job, &err), &err, "trm_job_run: was called before"));
    assert_int_equal(trm_job_tell(job, &json, NULL), TRM_ERR_USAGE);
    assert_true(everywhere(is(trm_job_write(job, &err), &err, TRM_OK, "")));
    assert_true(refuses(trm_job_write(job, &err), &err, "trm_job_write: was called before"));
    assert_true(everywhere(is(trm_job_tell(job, &json, &err), &err, TRM_OK, "")));
    assert_true((json != NULL) == (rank == 0));
    trm_job_done(job);
    trm_job_done(job);
    assert_true(everywhere(is(trm_job_tell(job, &again, &err), &err, TRM_OK, "")));
    assert_ptr_equal(json, again);
    trm_job_destroy(&job);
    trm_job_destroy(&job);
    drop("a");
    assert_true(is_clean());
}

/* ---- without memory ---- */

static int64_t allocations, fails_at; /* 0: none */

/* The linker puts this before the library's only allocator (tests/CMakeLists.txt). */
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    const bool fails = fails_at > 0 && __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED) == fails_at;
    return fails ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}

static void a_job_that_can_not_be_told_says_so(void **state)
{
    (void)state;
    trm_status status = TRM_ERR_MEMORY;
    for (int n = 1; status == TRM_ERR_MEMORY; n++) {
        trm_job *job = NULL;
        allocations = 0;
        fails_at = n;
        status = trm_job_create("mine", &job, NULL);
        if (status == TRM_OK)
            status = trm_job_add_input(job, "store", NULL);
        if (status == TRM_OK)
            status = trm_job_set(job, "ignore-label", "1", NULL);
        if (status == TRM_OK)
            status = trm_job_set(job, "soft", NULL, NULL);
        if (status == TRM_OK)
            status = trm_job_check(job, NULL);
        fails_at = 0;
        trm_job_destroy(&job);
        assert_true(n > 7 || status == TRM_ERR_MEMORY);
    }
    assert_int_equal(status, TRM_OK);
}

/* Memory that one rank can't have, at each place where it asks for some: all ranks end together. But for sweeps, in
 * the middle of which such a rank ends the program. */
static void no_memory_on_one_rank_ends_all(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *input, *options;
        int last;
    } jobs[] = {
        {"mine", "store", "output=@out checkpoint=@kept margins=0.1,0.2", 2},
        {"mine", "store", "output=@out overwrite batches=3 classes-per-batch=3 rows-per-class=4", 2},
        {"loss", "store", "loss=batch-all gradient output=@out overwrite", 2},
        {"loss", "packed", "gradient output=@out overwrite", 5},
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        for (int victim = 0; victim<ranks; victim += ranks> 1 ? ranks - 1 : 1) {
            bool failed = true;
            for (int64_t n = 1; failed; n += ranks > 3 ? 5 : 1) { /* fewer where each takes longer */
                trm_error err = TRM_ERROR_INIT;
                trm_job *job = told(jobs[i].kind, jobs[i].input, jobs[i].options);
                allocations = 0;
                fails_at = rank == victim ? n : 0;
                const trm_status status = steps(job, jobs[i].last, MPI_COMM_WORLD, NULL, &err);
                failed = !everywhere(rank != victim || allocations < n);
                fails_at = 0;
                trm_job_destroy(&job);
                int least = (int)status;
                MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
                if ((int)status != least)
                    fprintf(stderr, "rank %d, job %d, allocation %d of rank %d: status %d, '%s'\n", rank,
                            (int)i, (int)n, victim, (int)status, err.text);
                assert_true(everywhere((int)status == least) && is_clean());
            }
            drop("out");
        }
}

/* Ranks may have limits of their own: the least one counts. */
static void the_least_limit_counts(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    char options[100] = "mem-per-rank=1K";
    for (int enough = 0; enough < 2; enough++) {
        trm_job *job = told("mine", "store", rank == ranks - 1 ? options : "mem-per-rank=1G");
        const trm_status status = steps(job, 5, MPI_COMM_WORLD, NULL, &err);
        assert_true(everywhere(
            enough ? is(status, &err, TRM_OK, "")
                   : is(status, &err, TRM_ERR_MEMORY, "the limit is 1.0 KB: give --mem-per-rank")));
        trm_job_destroy(&job);
        if (!enough)
            snprintf(options, sizeof options, "mem-per-rank=%.*s",
                     (int)strcspn(strstr(err.text, "--mem-per-rank") + 15, " "),
                     strstr(err.text, "--mem-per-rank") + 15);
        err = (trm_error)TRM_ERROR_INIT;
    }
}

/* A failure in each step: all ranks know it, it ends the job, and nothing is left of it. */
static void a_failure_ends_a_job(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *input, *options;
        trm_status status;
        const char *words;
    } jobs[] = {
        {"mine", "store", "output=@missing/out", TRM_ERR_CREATE, "no folder"},
        {"mine", "store", "output=@packed", TRM_ERR_CREATE, "exists"},
        {"mine", "nowhere", "output=@out checkpoint=@kept", TRM_ERR_NO_INPUT, "nowhere"},
        {"mine", "store", "output=@out checkpoint=@out", TRM_ERR_USAGE, "is the output, too"},
        {"mine", "store", "batches=2 classes-per-batch=2 rows-per-class=2 output=@out batch-list=@out",
         TRM_ERR_USAGE, "is the output, too"},
        {"mine", "store", "output=@out embeddings=nothing", TRM_ERR_DATA, "nothing"},
        {"loss", "store", "", TRM_ERR_USAGE, "give --triplets FILE"},
        {"loss", "packed", "output=@packed gradient overwrite", TRM_ERR_USAGE, "one of the inputs"},
        {"loss", "packed", "replicate=7", TRM_ERR_USAGE, "--replicate 7"},
        {"loss", "store", "triplets=@zero output=@out gradient", TRM_ERR_DATA, "zero"},
        {"mine", "store", "mem-per-rank=1K output=@out checkpoint=@kept", TRM_ERR_MEMORY, "--mem-per-rank"},
        {"loss", "store", "mem-per-rank=1K loss=batch-all gradient output=@out", TRM_ERR_MEMORY,
         "--mem-per-rank"},
        {"mine", "store", "batches=2 classes-per-batch=9 rows-per-class=2 output=@out batch-list=@list",
         TRM_ERR_USAGE, "classes"},
        {"mine", "zero", "output=@out checkpoint=@kept", TRM_ERR_DATA, "never filled"},
        {"loss", "zero", "loss=batch-all output=@out gradient", TRM_ERR_DATA, "never filled"},
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        for (int heard = 0; heard < 2; heard++) {
            trm_error err = TRM_ERROR_INIT;
            trm_job *job = told(jobs[i].kind, jobs[i].input, jobs[i].options);
            const trm_status status = steps(job, 5, MPI_COMM_WORLD, NULL, heard ? &err : NULL);
            const bool good =
                heard ? is(status, &err, jobs[i].status, jobs[i].words) : status == jobs[i].status;
            if (!good)
                fprintf(stderr, "job %d: status %d\n", (int)i, (int)status);
            assert_true(everywhere(good));
            err = (trm_error)TRM_ERROR_INIT;
            assert_true(refuses(trm_job_run(job, &err), &err, "has failed"));
            trm_job_done(job);
            trm_job_destroy(&job);
            assert_true(is_clean() && gone("out") && gone("kept") && gone("list"));
        }
}

/* Another file at the output's name, once it was claimed: it stays, and the result has another name. */
static void an_output_that_came_meanwhile_stays(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_job *job = told("mine", "store", "output=@came checkpoint=@kept");
    assert_true(everywhere(is(steps(job, 3, MPI_COMM_WORLD, NULL, &err), &err, TRM_OK, "")));
    if (rank == 0)
        assert_true(close(open(in_folder("came"), O_CREAT | O_EXCL | O_WRONLY, 0666)) == 0);
    const trm_status status = trm_job_write(job, &err);
    assert_true(everywhere(is(status, &err, TRM_ERR_CREATE, "came")));
    trm_job_destroy(&job);
    long size = -1;
    char *bytes = rank == 0 ? bytes_of("came", &size) : NULL;
    assert_true(everywhere(rank != 0 || (bytes != NULL && size == 0)));
    free(bytes);
    assert_true(is_clean() && there("kept")); /* until the job is done */
    drop("kept");
    drop("came");
    drop("came.1");
}

/* A job that holds a path keeps others from it until it is destroyed. */
static void a_path_has_one_job_at_a_time(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    trm_job *holder = told("mine", "store", "output=@held checkpoint=@kept");
    trm_job *second = told("mine", "store", "output=@held");
    trm_job *third = told("mine", "store", "output=@other checkpoint=@kept");
    trm_job *beside = told("loss", "store", "output=@beside gradient loss=batch-hard");
    assert_true(everywhere(is(steps(holder, 2, MPI_COMM_WORLD, NULL, &err), &err, TRM_OK, "")));
    trm_status status = trm_job_open(second, MPI_COMM_WORLD, NULL, &err);
    assert_true(everywhere(is(status, &err, TRM_ERR_CREATE, "a running job has it")));
    trm_job_destroy(&second);
    err = (trm_error)TRM_ERROR_INIT;
    status = trm_job_open(third, MPI_COMM_WORLD, NULL, &err);
    assert_true(everywhere(is(status, &err, TRM_ERR_CREATE, "a running job has it")));
    trm_job_destroy(&third);
    err = (trm_error)TRM_ERROR_INIT;
    assert_true(there(".held.trimine-lock") && there(".kept.trimine-lock"));
    assert_true(everywhere(is(steps(beside, 5, MPI_COMM_WORLD, NULL, &err), &err, TRM_OK, "")));
    trm_job_done(beside);
    trm_job_destroy(&beside);
    assert_true(there(".held.trimine-lock") && there("beside"));
    status = trm_job_run(holder, &err);
    if (status == TRM_OK)
        status = trm_job_write(holder, &err);
    assert_true(everywhere(is(status, &err, TRM_OK, "")));
    trm_job_destroy(&holder);
    assert_true(is_clean() && there("held") && there("kept"));
    drop("held");
    drop("kept");
    drop("beside");
}

/* ---- its results ---- */

typedef struct kind {
    const char *kind, *input, *options;
    const char *fact; /* that is the same on any ranks */
} kind;

static const kind kinds[] = {
    {"mine", "store", "margin=0.5 negatives=topk:2 gradient margins=0.1,0.5", "result_hash"},
    {"mine", "store", "batches=3 classes-per-batch=3 rows-per-class=8 seed=4", "result_hash"},
    {"mine", "store", "negatives=violating emit margin=0.3", "result_hash"},
    {"loss", "store", "loss=batch-all gradient", "loss"},
    {"loss", "packed", "gradient pick=random seed=2", "loss"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Of many rows each number of ranks takes seconds: before any probe. */
static void a_plan_shows_how_far_it_is(void **state)
{
    (void)state;
    watcher w = {.stop_at = NEVER};
    const trm_job_hooks hooks = hooks_of(&w);
    trm_error err = TRM_ERROR_INIT;
    trm_job *job = told("plan", "store", "gflops=1 ranks-list=1,2,3");
    trm_status status = steps(job, 2, MPI_COMM_SELF, &hooks, &err);
    assert_true(everywhere(is(status, &err, TRM_OK, "") && w.progress == 3));
    trm_job_destroy(&job);
}

/* The same bytes and the same facts on any ranks, also while the others have a job of their own. */
static void a_job_has_one_result_on_any_ranks(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        char *first = NULL;
        for (int q = 1; q <= ranks; q += q < 3 ? 1 : 2) {
            char options[400];
            const bool in = rank < q;
            MPI_Comm comm;
            MPI_Comm_split(MPI_COMM_WORLD, in, rank, &comm);
            watcher w = {.stop_at = NEVER};
            const trm_job_hooks hooks = hooks_of(&w);
            const char *json = NULL;
            trm_error err = TRM_ERROR_INIT;
            const bool packed = strcmp(kinds[k].input, "packed") == 0;
            snprintf(options, sizeof options, "%s output=@%s%d", kinds[k].options, in ? "in" : "out", q);
            trm_job *job = told(kinds[k].kind, kinds[k].input, options);
            trm_status status = steps(job, 5, comm, &hooks, &err);
            assert_true(everywhere(is(status, &err, TRM_OK, "")));
            assert_int_equal(trm_job_tell(job, &json, &err), TRM_OK);
            const int lines = w.lines[TRM_LINE_STEP] + w.lines[TRM_LINE_NOTE] + w.lines[TRM_LINE_WARNING];
            int mine;
            MPI_Comm_rank(comm, &mine);
            assert_true(everywhere((json != NULL) == (mine == 0) && (lines == 0 || mine == 0) &&
                                   (w.lines[TRM_LINE_STEP] > 0) == (mine == 0 && !packed) &&
                                   w.not_saved == packed && (w.progress > 0) <= (mine == 0)));
            if (rank == 0) {
                char *one = fact(json, kinds[k].fact);
                assert_true(strlen(one) > 2 && (first == NULL || strcmp(one, first) == 0));
                free(first);
                first = one;
            }
            trm_job_done(job);
            trm_job_destroy(&job);
            MPI_Comm_free(&comm);
            char name[16];
            snprintf(name, sizeof name, "in%d", q);
            assert_true(same_files("in1", name));
            if (q < ranks) {
                snprintf(name, sizeof name, "out%d", q);
                assert_true(same_files("in1", name));
                drop(name);
            }
            if (q > 1) {
                snprintf(name, sizeof name, "in%d", q);
                drop(name);
            }
        }
        drop("in1");
        assert_true(is_clean());
        free(first);
    }
}

static void the_last_value_counts(void **state)
{
    (void)state;
    char *values[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        const char *json = NULL;
        trm_error err = TRM_ERROR_INIT;
        trm_job *job =
            told("mine", "store",
                 i == 0 ? "margin=0.5 margins=0.2 ignore-label=1 ignore-label=2"
                        : "margin=9 margins=1,2,3 margin=0.5 ignore-label=1 margins=0.2 ignore-label=2");
        assert_true(everywhere(is(steps(job, 5, MPI_COMM_WORLD, NULL, &err), &err, TRM_OK, "")));
        assert_int_equal(trm_job_tell(job, &json, &err), TRM_OK);
        values[i] = rank == 0 ? fact(json, "options") : NULL;
        trm_job_destroy(&job);
    }
    if (rank == 0)
        assert_string_equal(values[0], values[1]);
    free(values[0]);
    free(values[1]);
}

/* What a name holds that is no text is shown by its codes, and the JSON is valid all the same. */
static void names_are_text(void **state)
{
    (void)state;
    const char *json = NULL;
    watcher w = {.stop_at = NEVER};
    const trm_job_hooks hooks = hooks_of(&w);
    trm_error err = TRM_ERROR_INIT;
    trm_job *job = told("mine", "store", "output=@o\x01\xff ignore-label=77");
    trm_status status = steps(job, 5, MPI_COMM_WORLD, &hooks, &err);
    assert_true(everywhere(is(status, &err, TRM_OK, "")));
    assert_int_equal(trm_job_tell(job, &json, &err), TRM_OK);
    if (rank == 0) {
        json_t *facts = json_loads(json, 0, NULL), *warnings = json_object_get(facts, "warnings");
        const char *output = json_string_value(json_object_get(facts, "output"));
        assert_true(output != NULL && strstr(output, "/o\x01\\xff") != NULL);
        assert_int_equal(json_array_size(warnings), w.lines[TRM_LINE_WARNING]);
        assert_true(w.lines[TRM_LINE_WARNING] > 0);
        assert_string_equal(json_string_value(json_array_get(warnings, json_array_size(warnings) - 1)),
                            w.warning);
        json_decref(facts);
    }
    trm_job_destroy(&job);
    drop("o\x01\xff");
}

/* What is written is told by what was read, not by what is at the input's name by then. */
static void a_packed_input_may_go_once_it_is_read(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    if (rank == 0)
        put_packed("short");
    MPI_Barrier(MPI_COMM_WORLD);
    trm_job *job = told("loss", "short", "gradient output=@gradient threads=1");
    trm_status status = steps(job, 2, MPI_COMM_WORLD, NULL, &err);
    omp_set_num_threads(3); /* the caller's */
    if (status == TRM_OK)
        status = trm_job_run(job, &err);
    assert_true(everywhere(is(status, &err, TRM_OK, "")));
    assert_int_equal(omp_get_max_threads(), 3);
    drop("short");
    status = trm_job_write(job, &err);
    assert_true(everywhere(is(status, &err, TRM_OK, "")));
    trm_job_destroy(&job);
    if (rank == 0) {
        hid_t file = H5Fopen(in_folder("gradient"), H5F_ACC_RDONLY, H5P_DEFAULT);
        assert_true(H5Lexists(file, "/gradient/negatives", H5P_DEFAULT) > 0);
        H5Fclose(file);
    }
    drop("gradient");
}

/* ---- stopped, and gone on with ---- */

/* Stops by the wish of the last of q ranks at its nth question. */
static trm_status run_until(int q, int n, const char *options, trm_error *err, bool *found)
{
    MPI_Comm comm = first_ranks(q);
    trm_status status = TRM_OK;
    *found = false;
    if (comm != MPI_COMM_NULL) {
        watcher w = {.stop_at = rank == q - 1 ? n : NEVER};
        const trm_job_hooks hooks = hooks_of(&w);
        trm_job *job = told("mine", "store", options);
        status = steps(job, 5, comm, &hooks, err);
        if (status == TRM_OK)
            trm_job_done(job);
        trm_job_destroy(&job);
    }
    leave(&comm);
    MPI_Bcast(&status, (int)sizeof status, MPI_BYTE, 0, MPI_COMM_WORLD);
    MPI_Bcast(err, (int)sizeof *err, MPI_BYTE, 0, MPI_COMM_WORLD);
    *found = there("kept");
    return status;
}

/* Whatever it would have kept. */
static void a_dry_run_that_is_stopped_keeps_nothing(void **state)
{
    (void)state;
    int stops = 0;
    bool found = false;
    for (int n = 0; n < 6; n++) {
        trm_error err = TRM_ERROR_INIT;
        const trm_status status =
            run_until(n % ranks + 1, n, "dry-run output=@out checkpoint=@kept", &err, &found);
        assert_true(everywhere(status == TRM_OK || is(status, &err, TRM_ERR_STOPPED,
                                                      "stopped on a signal: a plan is made anew")));
        assert_true(!found && is_clean() && gone("out"));
        stops += status != TRM_OK;
    }
    assert_true(stops > 0);
}

static void a_stopped_job_goes_on_on_other_ranks(void **state)
{
    (void)state;
    static const char rule[] = "margin=0.5 negatives=topk:2 tile=32 gradient";
    char options[400];
    bool found;
    int stops = 0, kept = 0;
    trm_error err = TRM_ERROR_INIT;
    snprintf(options, sizeof options, "%s output=@whole", rule);
    assert_true(everywhere(is(run_until(1, NEVER, options, &err, &found), &err, TRM_OK, "")));
    for (int n = 0;; n++) {
        snprintf(options, sizeof options, "%s output=@out checkpoint=@kept resume", rule);
        const int q = n % ranks + 1;
        trm_status status = run_until(q, n, options, &err, &found);
        if (status == TRM_OK)
            break;
        assert_true(everywhere(is(status, &err, TRM_ERR_STOPPED,
                                  found ? "/kept' holds the work: run again with --resume"
                                        : "before there was anything to keep: run again")));
        assert_true(is_clean() && gone("out"));
        stops++;
        kept += found;
        err = (trm_error)TRM_ERROR_INIT;
        status = run_until(ranks + 1 - q, NEVER, options, &err, &found);
        assert_true(everywhere(is(status, &err, TRM_OK, "")));
        assert_true(same_files("whole", "out") && gone("kept") && is_clean());
        drop("out");
    }
    assert_true(stops > 3 && kept > 0);
    drop("whole");
    drop("out");
}

/* Until the job was done, a checkpoint stays, whatever was written. */
static void a_checkpoint_stays_until_the_job_is_done(void **state)
{
    (void)state;
    static const char options[] = "output=@out checkpoint=@kept resume overwrite checkpoint-every=0.0000001";
    for (int done = 0; done < 2; done++) {
        const char *json = NULL;
        trm_error err = TRM_ERROR_INIT;
        trm_job *job = told("mine", "store", options);
        trm_status status = steps(job, 4, MPI_COMM_WORLD, NULL, &err);
        assert_true(everywhere(is(status, &err, TRM_OK, "")));
        trm_job_done(job); /* too early */
        assert_true(there("kept") && there("out"));
        status = trm_job_tell(job, &json, &err);
        assert_true(everywhere(is(status, &err, TRM_OK, "")) && there("kept"));
        if (rank == 0) {
            char *resumed = fact(json, "checkpoint");
            assert_true((strstr(resumed, "\"resumed\": true") != NULL) == (done == 1));
            free(resumed);
        }
        if (done == 1)
            trm_job_done(job);
        assert_true(done == 1 ? gone("kept") : there("kept"));
        trm_job_destroy(&job);
        assert_true(is_clean());
    }
    drop("out");
}

/* Without a checkpoint a stop keeps nothing, and says so; of packed triplets it comes before they are read. */
static void a_job_without_a_checkpoint_stops_too(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    watcher w = {.stop_at = 3};
    const trm_job_hooks hooks = hooks_of(&w);
    trm_job *job = told("mine", "store", "output=@out tile=32");
    trm_status status = steps(job, 5, MPI_COMM_WORLD, &hooks, &err);
    assert_true(
        everywhere(is(status, &err, TRM_ERR_STOPPED, "nothing was kept (--checkpoint PATH would have)")));
    trm_job_destroy(&job);
    err = (trm_error)TRM_ERROR_INIT;
    w.stop_at = 0;
    job = told("loss", "packed", "");
    status = steps(job, 5, MPI_COMM_WORLD, &hooks, &err);
    assert_true(
        everywhere(is(status, &err, TRM_ERR_STOPPED, "before there was anything to keep: run again")));
    assert_int_equal(w.not_saved, 1);
    trm_job_destroy(&job);
    assert_true(is_clean() && gone("out"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_job_takes_is_refused),
        cmocka_unit_test(once_checked_nothing_more_is_told),
        cmocka_unit_test(what_was_refused_stays_refused),
        cmocka_unit_test(ranks_are_told_the_same),
        cmocka_unit_test(steps_out_of_turn_are_refused),
        cmocka_unit_test(a_failure_ends_a_job),
        cmocka_unit_test(a_job_that_can_not_be_told_says_so),
        cmocka_unit_test(no_memory_on_one_rank_ends_all),
        cmocka_unit_test(the_least_limit_counts),
        cmocka_unit_test(an_output_that_came_meanwhile_stays),
        cmocka_unit_test(a_path_has_one_job_at_a_time),
        cmocka_unit_test(a_plan_shows_how_far_it_is),
        cmocka_unit_test(a_job_has_one_result_on_any_ranks),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(names_are_text),
        cmocka_unit_test(a_packed_input_may_go_once_it_is_read),
        cmocka_unit_test(a_dry_run_that_is_stopped_keeps_nothing),
        cmocka_unit_test(a_stopped_job_goes_on_on_other_ranks),
        cmocka_unit_test(a_checkpoint_stays_until_the_job_is_done),
        cmocka_unit_test(a_job_without_a_checkpoint_stops_too),
    };
    start_mpi(&argc, &argv, 900);
    const int failed = cmocka_run_group_tests(tests, make_files, remove_folder);
    MPI_Finalize();
    return failed;
}
