module recommender

go 1.23
