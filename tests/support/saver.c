/* Who stops and keeps; see saver.h. */
#include "support/saver.h"

#include "store/result.h"

#include <stdio.h>

trm_status saver_write(saver *k, const char *path, int parts, const trm_checkpoint_part *part, trm_error *err)
{
    int64_t bytes = 0;
    trm_claim *claim = NULL;
    trm_status status = trm_claim_take(k->comm, "checkpoint", path, true, 0, NULL, &claim, err);
    if (status == TRM_OK)
        status = trm_checkpoint_file_write(k->comm, claim, &k->job, parts, part, &bytes, err);
    trm_claim_release(&claim);
    return status;
}

static int wish(void *context)
{
    saver *k = context;
    return k->asked++ >= k->at ? k->what : 0;
}

static trm_status save(void *context, int parts, const trm_checkpoint_part *part, bool stop, trm_error *err)
{
    saver *k = context;
    (void)stop;
    k->saved++;
    k->at = k->asked + (k->at < SAVER_NEVER ? 3 : 0);
    return saver_write(k, k->path, parts, part, err);
}

static int64_t size(void *context, const char *name)
{
    return trm_checkpoint_file_size(((saver *)context)->from, name);
}

static const char *piece_path(const saver *k, int64_t piece)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s.piece-%d", k->path, (int)piece);
    return path;
}

static trm_status set_aside(void *context, int64_t piece, int parts, const trm_checkpoint_part *part,
                            trm_error *err)
{
    saver *k = context;
    k->pieces++;
    return saver_write(k, piece_path(k, piece), parts, part, err);
}

static trm_status load(void *context, int64_t volume, int parts, const trm_checkpoint_part *part,
                       trm_error *err)
{
    saver *k = context;
    trm_checkpoint_file *piece = NULL;
    if (volume == TRM_CHECKPOINT_STATE)
        return trm_checkpoint_file_load(k->from, parts, part, err);
    trm_status status = trm_checkpoint_file_open(k->comm, piece_path(k, volume), &k->job, &piece, err);
    if (status == TRM_OK)
        status = trm_checkpoint_file_load(piece, parts, part, err);
    trm_checkpoint_file_close(&piece);
    return status;
}

void saver_begin(saver *k, MPI_Comm comm, const char *path, trm_checkpoint_job job)
{
    *k = (saver){.comm = comm, .path = path, .job = job, .at = SAVER_NEVER};
    k->checkpoint = (trm_checkpoint){.wish = wish,
                                     .save = path != NULL ? save : NULL,
                                     .set_aside = set_aside,
                                     .size = size,
                                     .load = load,
                                     .context = k,
                                     .unit_tiles = 2};
}

void saver_wish(saver *k, int at, int what)
{
    k->at = at;
    k->what = what;
}

trm_status saver_open(saver *k, trm_error *err)
{
    return trm_checkpoint_file_open(k->comm, k->path, &k->job, &k->from, err);
}

void saver_end(saver *k)
{
    trm_checkpoint_file_close(&k->from);
}
