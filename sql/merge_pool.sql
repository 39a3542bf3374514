-- How busy the pool is that merges parts.
SELECT toUInt64(greatest(0, sumIf(value, metric = 'BackgroundMergesAndMutationsPoolTask'))) AS busy,
       toUInt64(greatest(0, sumIf(value, metric = 'BackgroundMergesAndMutationsPoolSize'))) AS size
FROM system.metrics
