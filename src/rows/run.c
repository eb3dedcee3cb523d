/* Creating a run: checks the settings once, and finds out what this rank may use. */
#include "rows/run.h"

#include "base/alloc.h"
#include "base/sized.h"
#include "kernel/blas_core.h"
#include "kernel/blas_threads.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/launch.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const trm_sized sized = {.name = "trm_run_options", .size = sizeof(trm_run_options)};

void trm_run_options_init_sized(trm_run_options *options, size_t size)
{
    const trm_run_options own = {.size = sizeof own, .kernel = "auto"};
    trm_sized_give(&sized, &own, options, &size);
}

static trm_status refuse_kernel(const char *name, trm_error *err)
{
    char list[256] = "auto";
    for (int i = 0; trm_kernel_at(i) != NULL; i++) {
        const size_t length = strlen(list);
        snprintf(list + length, sizeof list - length, " %s", trm_kernel_at(i)->name);
    }
    return trm_fail(err, TRM_ERR_USAGE, "--kernel '%s': must be one of %s", name, list);
}

static trm_status check(const trm_run_options *options, int ranks, trm_error *err)
{
    if (options->threads < 0)
        return trm_fail(err, TRM_ERR_USAGE, "--threads %d: must be at least 1", options->threads);
    if (options->replicate < 0 || (options->replicate > 0 && ranks % options->replicate != 0))
        return trm_fail(err, TRM_ERR_USAGE, "--replicate %d: must divide the number of ranks, %d",
                        options->replicate, ranks);
    if (options->tile < 0 || options->tile > TRM_TILE_MAX || options->tile % TRM_TILE_STEP != 0)
        return trm_fail(err, TRM_ERR_USAGE, "--tile %d: must be a multiple of %d up to %d", options->tile,
                        TRM_TILE_STEP, TRM_TILE_MAX);
    if (options->mem_per_rank < 0)
        return trm_fail(err, TRM_ERR_USAGE, "--mem-per-rank: must be positive");
    if (options->kernel == NULL || trm_kernel_find(options->kernel) == NULL)
        return refuse_kernel(options->kernel != NULL ? options->kernel : "", err);
    const trm_kernel *kernel = trm_kernel_find(options->kernel);
    return strcmp(kernel->name, "blas") == 0 || kernel->needs_basis ? trm_blas_check_core(err) : TRM_OK;
}

/* Can BLAS be used, and by all threads at once, on all ranks? */
static bool may_use_blas(MPI_Comm comm)
{
    trm_error err = TRM_ERROR_INIT;
    int may = !trm_blas_takes_turns() && trm_blas_check_core(&err) == TRM_OK;
    MPI_Allreduce(MPI_IN_PLACE, &may, 1, MPI_INT, MPI_MIN, comm);
    return may != 0;
}

/* On all ranks, whose CPUs may differ: bit k is for the kernel at k of the table. */
static void find_kernels(MPI_Comm comm, unsigned *promising, unsigned *leading)
{
    unsigned kernels[2] = {0};
    for (int k = 0; trm_kernel_at(k) != NULL; k++) {
        kernels[0] |= (unsigned)trm_kernel_promising(trm_kernel_at(k)) << k;
        kernels[1] |= (unsigned)trm_kernel_leads(trm_kernel_at(k)) << k;
    }
    MPI_Allreduce(MPI_IN_PLACE, kernels, 2, MPI_UNSIGNED, MPI_BAND, comm);
    *promising = kernels[0];
    *leading = kernels[0] & kernels[1];
}

static int place_of(const trm_kernel *kernel)
{
    int k = 0;
    while (trm_kernel_at(k) != kernel)
        k++;
    return k;
}

bool trm_run_may_choose(const trm_run *run, const trm_kernel *kernel)
{
    return (!kernel->needs_basis || run->may_use_blas) &&
           (run->in_turn || (run->promising >> place_of(kernel) & 1U) != 0);
}

bool trm_run_may_begin_with(const trm_run *run, const trm_kernel *kernel, int dim)
{
    return run->chooses && kernel->begins_from <= dim && (run->leading >> place_of(kernel) & 1U) != 0;
}

/* Of the rank that has the least: hosts, and what each rank was given, may differ in memory; the panels must not. Collective. */
static trm_host_memory least_memory(MPI_Comm comm, trm_host_memory own)
{
    int64_t least = own.a_rank;
    int rank = 0, first = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_INT64_T, MPI_MIN, comm);
    first = own.a_rank == least ? rank : INT_MAX;
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, comm);
    MPI_Bcast(&own, (int)sizeof own, MPI_BYTE, first, comm);
    return own;
}

/* Is this process alone, although it was started as one of several? */
static trm_status check_world(trm_error *err)
{
    const trm_launch launch = trm_launch_look();
    int world = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &world);
    return trm_launch_check(&launch, world, err);
}

trm_status trm_run_create(MPI_Comm comm, const trm_run_options *given, trm_run **run, trm_error *err)
{
    trm_run_options own;
    const trm_run_options *options = &own;
    trm_run *made = trm_alloc_zero(1, sizeof *made);
    int ranks = 0, provided = 0;
    MPI_Comm_size(comm, &ranks);
    MPI_Query_thread(&provided);
    trm_run_options_init(&own);
    trm_status status = made == NULL ? trm_fail_memory(err, "the run", 1, sizeof *made)
                                     : trm_sized_take(&sized, &own, given, err);
    if (status == TRM_OK)
        status = check(options, ranks, err);
    if (status == TRM_OK)
        status = check_world(err);
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
    trm_host host;
    trm_threads threads;
    trm_host_look(comm, &host);
    status = trm_agree(comm, trm_threads_choose(options->threads, &host, &threads, err), err);
    if (status != TRM_OK) {
        MPI_Comm_free(&host.comm);
        trm_free(made);
        return status;
    }
    trm_threads_start(&host, &threads);
    made->threads = threads.count;
    memcpy(made->threads_note, threads.note, sizeof threads.note);
    made->host_cores = host.cores;
    MPI_Comm_free(&host.comm);
    MPI_Comm_dup(comm, &made->comm);
    MPI_Comm_rank(made->comm, &made->rank);
    made->ranks = ranks;
    made->replicate = options->replicate;
    made->tile = (int)trm_tile_round_up(options->tile);
    made->memory = least_memory(made->comm, trm_host_memory_look(host.ranks));
    made->free_memory = made->memory.a_rank;
    made->mem_per_rank = options->mem_per_rank > 0 ? options->mem_per_rank : made->free_memory;
    MPI_Allreduce(MPI_IN_PLACE, &made->mem_per_rank, 1, MPI_INT64_T, MPI_MIN, made->comm);
    trm_blas_one_thread();
    made->chooses = strcmp(options->kernel, "auto") == 0;
    made->trial_share = 0.04;
    made->may_use_blas = may_use_blas(made->comm);
    find_kernels(made->comm, &made->promising, &made->leading);
    made->kernel = trm_kernel_find(options->kernel);
    made->progress = made->rank == 0 ? options->progress : NULL;
    made->progress_context = options->progress_context;
    made->checkpoint = options->checkpoint;
    *run = made;
    return TRM_OK;
}

trm_status trm_run_alone(const trm_run *run, int threads, trm_run **alone, trm_error *err)
{
    trm_run *made = trm_alloc(1, sizeof *made);
    *alone = made;
    if (made == NULL)
        return trm_fail_memory(err, "a run of one rank", 1, sizeof *made);
    *made = *run;
    MPI_Comm_dup(MPI_COMM_SELF, &made->comm);
    made->rank = 0;
    made->ranks = made->replicate = 1;
    made->chooses = false;
    made->threads = threads;
    made->progress = NULL;
    made->checkpoint = NULL;
    made->counter = NULL;
    return TRM_OK;
}

trm_run trm_run_for_sweeps(const trm_run *run, bool every_pair)
{
    trm_run sweeps = *run;
    sweeps.chooses = run->chooses && !every_pair;
    return sweeps;
}

trm_status trm_run_for_all(const trm_run *run, int ranks, int64_t mem_per_rank, trm_run **planned,
                           trm_error *err)
{
    trm_status status = trm_run_alone(run, run->threads, planned, err);
    if (status != TRM_OK)
        return status;
    trm_run *made = *planned;
    made->ranks = ranks;
    made->for_all = true;
    made->replicate = run->replicate;
    made->chooses = run->chooses;
    made->mem_per_rank = mem_per_rank;
    return TRM_OK;
}

int trm_run_threads(const trm_run *run)
{
    return run->threads;
}

const char *trm_run_threads_note(const trm_run *run)
{
    return run->threads_note;
}

int trm_run_host_cores(const trm_run *run)
{
    return run->host_cores;
}

int64_t trm_run_mem_per_rank(const trm_run *run)
{
    return run->mem_per_rank;
}

const char *trm_run_kernel(const trm_run *run)
{
    return run->chooses ? "auto" : run->kernel->name;
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
    return dim <= 512 ? 240 : 144;
}

void trm_run_destroy(trm_run **run)
{
    if (*run == NULL)
        return;
    MPI_Comm_free(&(*run)->comm);
    trm_free(*run);
    *run = NULL;
}

/* ---- too little memory ---- */

enum { KILO = 1000, MEGA = 1000000, MIB = 1 << 20 };

static bool limit_was_given(const trm_run *run)
{
    return run->mem_per_rank != run->free_memory;
}

const char *trm_run_limit_name(const trm_run *run)
{
    static const char *const names[] = {
        [TRM_MEMORY_HOST] = "--mem-per-rank",
        [TRM_MEMORY_GROUP] = "limit of the control group (container)",
        [TRM_MEMORY_SLURM] = "sbatch --mem",
        [TRM_MEMORY_ADDRESS_SPACE] = "ulimit -v",
    };
    if (limit_was_given(run))
        return names[TRM_MEMORY_HOST];
    return run->memory.cpus > 0 ? "sbatch --mem-per-cpu" : names[run->memory.bound];
}

static const char *unit_name(int64_t unit)
{
    return unit == KILO ? "K" : "M";
}

/* What to ask Slurm, or whoever has set the limit, for, so that four fifths of what is left are so many bytes a rank. What
 * is used there already is as much as it is now. */
static void raise_bound(const trm_host_memory *memory, double bytes, char *text, size_t size)
{
    const double needed = bytes * memory->ranks * 5.0 / 4.0 + 5.0 * memory->ranks;
    const double more = needed - (double)memory->left,
                 all = memory->granted > 0 ? (double)memory->granted + more : needed;
    switch (memory->bound) {
    case TRM_MEMORY_SLURM:
        if (memory->cpus > 0)
            snprintf(text, size, "give sbatch --mem-per-cpu=%.0fM or use more ranks",
                     ceil(all / memory->cpus / MIB));
        else
            snprintf(text, size, "give sbatch --mem=%.0fM or use more nodes", ceil(all / MIB));
        return;
    case TRM_MEMORY_GROUP:
        snprintf(
            text, size,
            "the control group (a container's limit, or systemd's) leaves no more: give it %.0f MiB more "
            "or use more hosts",
            ceil(more / MIB));
        return;
    case TRM_MEMORY_ADDRESS_SPACE:
        snprintf(text, size, "give ulimit -v %.0f or use more ranks", ceil(all / 1024.0));
        return;
    case TRM_MEMORY_HOST:
    default:
        text[0] = '\0';
    }
}

trm_status trm_run_refuse(const trm_run *run, const char *what, int64_t bytes, trm_error *err)
{
    const int64_t unit = bytes < 10 * MEGA ? KILO : MEGA,
                  limit_unit = run->mem_per_rank < 10 * MEGA ? KILO : MEGA;
    char own[64], bound[200] = "", wanted[280];
    snprintf(own, sizeof own, "give --mem-per-rank %" PRId64 "%s", bytes / unit + (bytes % unit > 0),
             unit_name(unit));
    if (bytes > run->free_memory && !run->for_all)
        raise_bound(&run->memory, (double)bytes, bound, sizeof bound);
    if (bound[0] == '\0')
        snprintf(wanted, sizeof wanted, "%s or use more ranks", own);
    else if (limit_was_given(run))
        snprintf(wanted, sizeof wanted, "%s, and %s", own, bound + strlen("give "));
    else
        snprintf(wanted, sizeof wanted, "%s", bound);
    return trm_fail(err, TRM_ERR_MEMORY, "%s %.1f %sB a rank, the limit is %.1f %sB: %s", what,
                    (double)bytes / (double)unit, unit_name(unit),
                    (double)run->mem_per_rank / (double)limit_unit, unit_name(limit_unit), wanted);
}
