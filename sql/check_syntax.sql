-- Refuses text that is no statement, without running it.
SELECT formatQuery({text:String}) AS text
