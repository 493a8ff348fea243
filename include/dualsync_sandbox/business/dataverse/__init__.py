"""What Project Operations on Dataverse does by itself when rows are saved."""
