/* Were all ranks told the same? See inner.h. */
#include "job/inner.h"

#include "par/agree.h"

#include <string.h>
#include <xxhash.h>

/* One thing that a job was told: its kind, an input, an option with its value or "". */
typedef struct told {
    const char *name, *value;
} told;

/* The thing of that number, in the order in which they were told; how many there are. */
static int look(const trm_job *job, int number, told *thing)
{
    const trm_settings *settings = &job->settings;
    int count = 0;
    if (number == count++)
        *thing = (told){"kind", settings->kind->name};
    for (int i = 0; i < settings->inputs; i++)
        if (number == count++)
            *thing = (told){"input", settings->input[i]};
    for (int i = 0; i < job->given_count; i++) {
        const trm_setting *given = &job->given[i];
        trm_walk walk = trm_walk_of(&settings->kind->takes);
        if (!trm_walk_find(&walk, given->option) || walk.options == &trm_run_table)
            continue;
        if (number == count++)
            *thing = (told){given->option, given->value != NULL ? given->value : ""};
    }
    return count;
}

static uint64_t hash_of(const told *thing)
{
    const uint64_t name = XXH3_64bits(thing->name, strlen(thing->name));
    return XXH3_64bits_withSeed(thing->value, strlen(thing->value), name);
}

trm_status trm_job_compare_told(const trm_job *job, trm_status local, trm_error *err)
{
    told thing = {"", ""};
    const int count = look(job, -1, &thing);
    int first_count = count;
    MPI_Bcast(&first_count, 1, MPI_INT, 0, job->comm);
    if (local == TRM_OK && count != first_count)
        local = trm_fail(err, TRM_ERR_USAGE,
                         "%d inputs and options on rank %d, %d on rank 0: must be equal on all ranks",
                         count - 1, job->rank, first_count - 1);
    for (int i = 0; i < first_count; i++) {
        look(job, i, &thing);
        const uint64_t hash = hash_of(&thing);
        uint64_t first = hash;
        MPI_Bcast(&first, 1, MPI_UINT64_T, 0, job->comm);
        if (local == TRM_OK && hash != first)
            local = trm_fail(err, TRM_ERR_USAGE,
                             "%s '%s' on rank %d, another on rank 0: must be equal on all ranks", thing.name,
                             thing.value, job->rank);
    }
    return trm_agree(job->comm, local, err);
}
