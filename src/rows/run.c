/* Creating a run: checks the settings once, and finds out what this rank may use. */
#include "rows/run.h"

#include "base/alloc.h"
#include "kernel/blas_threads.h"
#include "par/agree.h"
#include "par/arguments.h"

#include <inttypes.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void trm_run_options_init(trm_run_options *options)
{
    *options = (trm_run_options){.kernel = "auto"};
}

/* Threads for a rank: what OMP_NUM_THREADS says; else its own cores where the launcher bound it to some; else
 * an equal part of the host's. */
static int default_threads(int host_ranks)
{
    if (getenv("OMP_NUM_THREADS") != NULL)
        return omp_get_max_threads();
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int mine = CPU_COUNT(&set);
    if (mine < sysconf(_SC_NPROCESSORS_ONLN))
        return mine;
    return mine / host_ranks > 0 ? mine / host_ranks : 1;
}

/* A number in a file, after a prefix; -1 where there is none ("max"). */
static int64_t number_in(const char *path, const char *format)
{
    int64_t number = -1;
    char line[256];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, format, &number) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return number;
}

/* What the control group (version 2) that the host's ranks run in, or one around it, leaves: batch systems
 * set their limits there. */
static int64_t group_memory(void)
{
    char group[3000] = {0}, path[4096];
    int64_t least = INT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (file == NULL || fscanf(file, "0::%2999s", group) != 1)
        group[0] = '\0';
    if (file != NULL)
        fclose(file);
    while (group[0] != '\0') {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        const int64_t most = number_in(path, "%" SCNd64);
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.current", group);
        const int64_t used = number_in(path, "%" SCNd64);
        if (most >= 0 && used >= 0)
            least = most - used < least ? most - used : least;
        *strrchr(group, '/') = '\0';
    }
    return least > 0 ? least : 1;
}

/* What this host's ranks may take together, and how much of its address space this one has left. */
static int64_t memory_a_rank(int host_ranks)
{
    struct rlimit limit;
    int64_t host = number_in("/proc/meminfo", "MemAvailable: %" SCNd64 " kB") * 1024;
    const int64_t group = group_memory();
    host = group < host ? group : host;
    int64_t rank = host / 5 * 4 / host_ranks;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        const int64_t used = number_in("/proc/self/statm", "%" SCNd64) * sysconf(_SC_PAGESIZE);
        const int64_t left = ((int64_t)limit.rlim_cur - used) / 5 * 4;
        rank = left < rank ? left : rank;
    }
    return rank > 0 ? rank : 1;
}

static trm_status check(const trm_run_options *options, int ranks, trm_error *err)
{
    if (options->threads < 0)
        return trm_fail(err, TRM_ERR_USAGE, "--threads %d: must be at least 1", options->threads);
    if (options->replicate < 0 || (options->replicate > 0 && ranks % options->replicate != 0))
        return trm_fail(err, TRM_ERR_USAGE, "--replicate %d: must divide the number of ranks, %d",
                        options->replicate, ranks);
    if (options->tile < 0 || options->tile > TRM_TILE_MAX || options->tile % TRM_TILE_ALIGN != 0)
        return trm_fail(err, TRM_ERR_USAGE, "--tile %d: must be a multiple of %d up to %d", options->tile,
                        TRM_TILE_ALIGN, TRM_TILE_MAX);
    if (options->mem_per_rank < 0)
        return trm_fail(err, TRM_ERR_USAGE, "--mem-per-rank: must be positive");
    if (options->kernel == NULL || trm_kernel_find(options->kernel) == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--kernel '%s': unknown, or not available on this CPU",
                        options->kernel != NULL ? options->kernel : "");
    return TRM_OK;
}

trm_status trm_run_create(MPI_Comm comm, const trm_run_options *options, trm_run **run, trm_error *err)
{
    trm_run *made = trm_alloc_zero(1, sizeof *made);
    int ranks = 0, provided = 0;
    MPI_Comm_size(comm, &ranks);
    MPI_Query_thread(&provided);
    trm_status status =
        made == NULL ? trm_fail_memory(err, "the run", 1, sizeof *made) : check(options, ranks, err);
    if (status == TRM_OK && provided < MPI_THREAD_FUNNELED)
        status = trm_fail(err, TRM_ERR_ENVIRONMENT, "MPI was initialised without MPI_THREAD_FUNNELED");
    trm_arguments list = {.count = 0};
    trm_arguments_whole(&list, "replicate", options->replicate, INT64_MIN, INT64_MAX);
    trm_arguments_whole(&list, "tile", options->tile, INT64_MIN, INT64_MAX);
    *run = NULL;
    status = trm_arguments_agree(comm, &list, status, err);
    if (status != TRM_OK) {
        trm_free(made);
        return status;
    }
    MPI_Comm_dup(comm, &made->comm);
    MPI_Comm_rank(made->comm, &made->rank);
    made->ranks = ranks;
    MPI_Comm host;
    MPI_Comm_split_type(made->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &made->host_ranks);
    MPI_Comm_free(&host);
    made->threads = options->threads > 0 ? options->threads : default_threads(made->host_ranks);
    made->replicate = options->replicate;
    made->tile = options->tile;
    made->free_memory = memory_a_rank(made->host_ranks);
    /* Hosts may differ in memory; the panels must not. */
    MPI_Allreduce(MPI_IN_PLACE, &made->free_memory, 1, MPI_INT64_T, MPI_MIN, made->comm);
    made->mem_per_rank = options->mem_per_rank > 0 ? options->mem_per_rank : made->free_memory;
    made->kernel = trm_kernel_find(options->kernel);
    made->progress = made->rank == 0 ? options->progress : NULL;
    made->progress_context = options->progress_context;
    made->keeping = options->keeping;
    trm_blas_one_thread();
    *run = made;
    return TRM_OK;
}

int trm_run_threads(const trm_run *run)
{
    return run->threads;
}

int64_t trm_run_mem_per_rank(const trm_run *run)
{
    return run->mem_per_rank;
}

const char *trm_run_kernel(const trm_run *run)
{
    return run->kernel->name;
}

const char *trm_run_isa(const trm_run *run)
{
    (void)run;
    return trm_kernel_isa();
}

/* Large enough that packing and locks don't show, small enough that both sides stay in a second-level cache.
 */
int trm_run_tile(const trm_run *run, int dim)
{
    if (run->tile > 0)
        return run->tile;
    return dim <= 512 ? 256 : 128;
}

void trm_run_destroy(trm_run **run)
{
    if (*run == NULL)
        return;
    MPI_Comm_free(&(*run)->comm);
    trm_free(*run);
    *run = NULL;
}

enum { KILO = 1000, MEGA = 1000000 };

static char unit_name(int64_t unit)
{
    return unit == KILO ? 'K' : 'M';
}

trm_status trm_run_refuse(const trm_run *run, const char *what, int64_t bytes, trm_error *err)
{
    const int64_t unit = bytes < 10 * MEGA ? KILO : MEGA,
                  limit_unit = run->mem_per_rank < 10 * MEGA ? KILO : MEGA;
    return trm_fail(
        err, TRM_ERR_MEMORY,
        "%s %.1f %cB a rank, the limit is %.1f %cB: give --mem-per-rank %" PRId64 "%c or use more ranks",
        what, (double)bytes / (double)unit, unit_name(unit), (double)run->mem_per_rank / (double)limit_unit,
        unit_name(limit_unit), bytes / unit + (bytes % unit > 0), unit_name(unit));
}
